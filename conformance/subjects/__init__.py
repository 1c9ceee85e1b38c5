"""Building blocks as subjects: reached by URL, started from a command or an image."""
