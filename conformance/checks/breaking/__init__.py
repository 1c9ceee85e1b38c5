"""Circuit breaking: one building block in trouble is relieved, and takes nobody with it."""
