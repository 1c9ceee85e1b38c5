"""Which configuration reached a security server: by what its control plane sent, and by its own count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["COUNTED_UPDATES", "Updates"]

COUNTED_UPDATES = r"\.update_success$"
"""Its own counters, one for each kind of configuration (Envoy documentation: "xDS subscription statistics")."""


@dataclass(frozen=True)
class Updates:
    """What had been sent and taken over at one moment. All numbers only grow.

    Attributes:
        sent: responses of the control plane, such as `sent ROUTE`.
        taken_over: updates that the security server counted, by its statistic's name.
        versions: the version in force, by the statistic's name.

    """

    sent: Mapping[str, int]
    taken_over: Mapping[str, int]
    versions: Mapping[str, str]

    def since(self, earlier: Updates) -> dict[str, Any]:
        """What is different from an earlier moment; empty if nothing is."""
        news: dict[str, Any] = {}
        for now, before in ((self.sent, earlier.sent), (self.taken_over, earlier.taken_over)):
            news |= {name: count - before.get(name, 0) for name, count in now.items() if count != before.get(name, 0)}
        return news | {name: text for name, text in self.versions.items() if text != earlier.versions.get(name)}
