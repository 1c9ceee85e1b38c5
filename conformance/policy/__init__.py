"""Policies as documents: read, judged, kept with their history, and administered over HTTP."""
