"""Resources of a refused response, of which one is at fault and nobody says which.

Invariant: groups that are taken get smaller with every refusal, so there is an end: each is accepted, or refused alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["Suspects"]


class Suspects:
    """By name. A group of them is taken, and sent again, at a time."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        # May hold names that are no suspects any more.
        self._groups: deque[list[str]] = deque()

    def __bool__(self) -> bool:
        return bool(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, names: Iterable[str]) -> None:
        """What was refused together is sent again in two halves."""
        ordered = sorted(names)
        self._names.update(ordered)
        middle = len(ordered) // 2
        self._groups += [half for half in (ordered[:middle], ordered[middle:]) if half]

    def discard(self, name: str) -> None:
        """It is not wanted any more, or not there."""
        self._names.discard(name)

    def take(self) -> set[str]:
        """The next group, whose members are no suspects from now on; empty if there are none."""
        found: set[str] = set()
        while self._groups and not found:
            found = self._names.intersection(self._groups.popleft())
        self._names -= found
        return found
