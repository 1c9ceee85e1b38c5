"""Routing: a call finds its building block, arrives as it was sent, and the answer comes back as it was given."""
