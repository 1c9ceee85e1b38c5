"""Seeded defects, each naming the checks that must catch it, and why."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from functools import cache

from conformance.faults.seeding import FAULTS, REFERENCE, REFERENCES, Caught, Fault

__all__ = ["REFERENCE", "REFERENCES", "Caught", "Fault", "complete_faults"]


@cache
def complete_faults() -> dict[str, Fault]:
    """All seeded faults, area by area, then those of plugins (entry points of the group `meshmark.faults`)."""
    areas = importlib.import_module("conformance.faults.areas")
    for area in pkgutil.iter_modules(areas.__path__):
        importlib.import_module(f"{areas.__name__}.{area.name}")
    for plugin in importlib.metadata.entry_points(group="meshmark.faults"):
        plugin.load()
    return FAULTS
