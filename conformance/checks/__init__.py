"""The checks, one package per area."""
