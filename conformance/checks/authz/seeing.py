"""One call and everything that was seen of it, by a security server, the authentication service and the witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.probe import Arrival, DecisionSeen, Exchange, LogLine, Probe

__all__ = ["Seen", "see", "some_of"]

REFUSED_BY_SERVICE = "ext_authz_denied"
SERVICE_SILENT = "ext_authz_error"
"""Details of a call that the authentication service refused, or about which it said nothing (Envoy documentation:
"Response code details").
"""
FLAG = "UAEX"


@dataclass(frozen=True)
class Seen:
    """What became of a call.

    Attributes:
        what: names the call.
        line: of the security server that is looked at; empty if it wrote none.
        decisions: of the authentication service, at all security servers.

    """

    what: str
    exchange: Exchange
    line: LogLine
    decisions: Sequence[DecisionSeen]
    arrivals: Sequence[Arrival]

    @property
    def reason(self) -> str:
        """Why, in the words of the security server."""
        return f"{self.line.get('details', 'nothing')} ({self.line.get('flags', '-')})"

    @property
    def summary(self) -> str:
        """In a few words."""
        decided = ", ".join(f"{each.direction} {each.reason}" for each in self.decisions) or "none"
        arrived = f"{len(self.arrivals)} arrived"
        return f"{self.what}: {self.exchange.summary}, {arrived}, access log: {self.reason}, decisions: {decided}"

    def refused_by_service(self, reason: str) -> bool:
        """The security server says that the service refused, and the service says why."""
        said = (self.line.get("details"), self.line.get("flags"), self.line.get("authentication"))
        return said == (REFUSED_BY_SERVICE, FLAG, reason) and [each.reason for each in self.decisions] == [reason]

    def closed_without_answer(self) -> bool:
        """The security server says that the service did not answer, and the service has decided nothing."""
        said = (self.line.get("details"), self.line.get("flags"))
        return said == (SERVICE_SILENT, FLAG) and not self.decisions

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "status": self.exchange.status,
            "access_log": dict(self.line),
            "decisions": [decision.to_json() for decision in self.decisions],
            "arrived": len(self.arrivals),
        }


async def see(probe: Probe, what: str, exchange: Exchange, server: str | None = None) -> Seen:
    """Look at a call at the subject's security server, or at another."""
    line = await probe.line(exchange, server) or {}
    decisions = probe.authentication.decisions(exchange)
    return Seen(what, exchange, line, decisions, probe.arrivals(exchange.nonce))


def some_of(calls: Sequence[Seen], *, otherwise: str) -> str:
    """The first few in words; all of them are in the evidence."""
    more = f" and {len(calls) - 3} more" if len(calls) > 3 else ""
    return "; ".join(each.summary for each in calls[:3]) + more or otherwise
