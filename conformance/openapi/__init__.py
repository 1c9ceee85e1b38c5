"""Building blocks' contracts: loading, validating, exercising."""
