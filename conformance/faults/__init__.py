"""Seeded defects, each naming the checks that must catch it, and why."""
