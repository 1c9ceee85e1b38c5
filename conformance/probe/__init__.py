"""All that a check may touch."""
