"""A static site made of many bundles: who conforms to what, since when, until when, and how to verify it again."""
