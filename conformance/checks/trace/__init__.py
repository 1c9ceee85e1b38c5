"""Tracing: a call can be followed through all that it has touched."""
