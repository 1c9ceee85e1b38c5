"""Whether a security server is still the one that it was."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Life"]


@dataclass(frozen=True)
class Life:
    """One life of a security server. Two equal ones with a growing uptime mean that it was not restarted."""

    pid: int
    restart_epoch: int
    uptime_s: int

    def continues(self, earlier: Life) -> bool:
        """This is a later moment of the same life."""
        same = (self.pid, self.restart_epoch) == (earlier.pid, earlier.restart_epoch)
        return same and self.uptime_s >= earlier.uptime_s

    def to_json(self) -> dict[str, int]:
        """As evidence."""
        return {"pid": self.pid, "restart_epoch": self.restart_epoch, "uptime_s": self.uptime_s}
