"""What the surveys of this area share: ways that were tried, and the door that must be among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.probe import BYSTANDER, EvidenceKind, Probe, Purpose, Way

__all__ = ["DOOR_NOT_FOUND", "from_everywhere", "seen_of"]

DOOR_NOT_FOUND = {
    "door-not-found": "From every machine that is surveyed from, the security servers' doors for peers are found open."
}


async def from_everywhere(probe: Probe, to: Iterable[str], name: str) -> list[Way]:
    """Survey hosts from a machine of nobody and from that of another member's security server.

    The subject's door must be among what is found open, or the survey saw nothing.
    """
    found: list[Way] = []
    hosts = (probe.subject.name, *to)
    for by in (probe.hosts.elsewhere, BYSTANDER):
        ways = await probe.hosts.ways(dict.fromkeys(hosts), by=by)
        observed = [{"to": way.summary, "answer": way.answer.value} for way in ways]
        probe.record(
            f"{name} from {'another member' if by == BYSTANDER else 'elsewhere'}",
            EvidenceKind.SURVEY,
            {"by": by, "ways": observed},
        )
        door = [way for way in ways if way.host == probe.subject.name and way.purpose is Purpose.DOOR]
        seen = f"from {by}: {'; '.join(f'{way.summary} {way.answer}' for way in door) or 'no door'}"
        probe.require("door-not-found", any(way.open for way in door), seen=seen)
        found += ways
    return found


def seen_of(ways: Sequence[Way]) -> str:
    """What was open that should not be."""
    return "; ".join(f"open: {way.summary}" for way in ways) or "nothing but the door is open"
