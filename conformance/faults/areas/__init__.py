"""The faults, one module for each area of checks."""
