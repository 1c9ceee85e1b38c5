"""Garbage collection in a process that serves many proxies.

Python looks through everything that lives for cycles after every few hundred new objects. What a control plane knows
about a thousand proxies lives long and has hardly any cycles, so a seventh of its time went there.
"""

from __future__ import annotations

import gc

__all__ = ["collect_seldom"]

NEW_OBJECTS = 50_000
YOUNGER_COLLECTIONS = 20


def collect_seldom() -> None:
    """For a process that is a control plane, or runs one: look for cycles after 50,000 new objects, not 700."""
    gc.set_threshold(NEW_OBJECTS, YOUNGER_COLLECTIONS, YOUNGER_COLLECTIONS)
