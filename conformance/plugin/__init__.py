"""The pytest plugin: the only runner."""
