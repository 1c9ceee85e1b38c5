"""The faults, by areas of checks; those of a large one are divided by topics."""
