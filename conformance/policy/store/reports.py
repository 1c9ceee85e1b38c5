"""What became of versions at the security servers, as far as it is kept.

Invariants: reports of the newest `KEPT_VERSIONS` versions, and the last one about each proxy, which may be older: it
says what is in force there. Several control planes report about the same proxies, and only the one that a proxy is
connected to has its answer: so `pending`, which anybody may say, never takes the place of an answer; of two answers the
later one counts; and a proxy that has taken a version waits for no older one.
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.policy.store import ProxyReport, ProxyState
from conformance.policy.store.database import Row, Session
from conformance.policy.store.snapshot import newest

__all__ = ["KEPT_VERSIONS", "ReportBook"]

KEPT_VERSIONS = 1000

CLAIM = """
    INSERT INTO reports (proxy, version, state, since, reason, control_plane)
    SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (
        SELECT 1 FROM reports AS newer WHERE newer.proxy = ? AND newer.version > ? AND newer.state = 'applied'
    )
    ON CONFLICT (proxy, version) DO NOTHING
"""
ANSWER = """
    INSERT INTO reports (proxy, version, state, since, reason, control_plane) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (proxy, version) DO UPDATE SET
        state = excluded.state, since = excluded.since,
        reason = excluded.reason, control_plane = excluded.control_plane
    WHERE reports.state = 'pending' OR reports.since <= excluded.since
"""
OVERTAKE = """
    UPDATE reports SET state = 'applied', since = ?, control_plane = ?
    WHERE proxy = ? AND version < ? AND state = 'pending'
"""
FORGET = """
    DELETE FROM reports WHERE version <= ? AND EXISTS (
        SELECT 1 FROM reports AS newer WHERE newer.proxy = reports.proxy AND newer.version > reports.version
    )
"""
ABOUT = """
    SELECT proxy, version, state, since, reason, control_plane FROM reports WHERE version = ? ORDER BY proxy
"""
LATEST = """
    SELECT proxy, version, state, since, reason, control_plane FROM reports
    WHERE version = (SELECT max(version) FROM reports AS newer WHERE newer.proxy = reports.proxy) ORDER BY proxy
"""


class ReportBook:
    """Keeps reports within bounds."""

    def __init__(self) -> None:
        self._forgotten_at = 0

    def add(self, session: Session, reports: Sequence[ProxyReport]) -> None:
        """Note these; forget those of old versions once there are newer ones."""
        claims = [one for one in reports if one.state is ProxyState.PENDING]
        answers = [one for one in reports if one.state is not ProxyState.PENDING]
        session.run(CLAIM, [(*_row(one), one.proxy, one.version) for one in claims])
        session.run(ANSWER, [_row(one) for one in answers])
        applied = (one for one in answers if one.state is ProxyState.APPLIED)
        session.run(OVERTAKE, [(one.since, one.control_plane, one.proxy, one.version) for one in applied])
        version = newest(session)
        if version > self._forgotten_at:
            session.run(FORGET, [(version - KEPT_VERSIONS,)])
            self._forgotten_at = version

    def about(self, session: Session, *, version: int) -> list[ProxyReport]:
        """Those about one version."""
        return [_report(row) for row in session.rows(ABOUT, version)]

    def latest(self, session: Session) -> list[ProxyReport]:
        """The last one about each proxy."""
        return [_report(row) for row in session.rows(LATEST)]


def _row(report: ProxyReport) -> Row:
    return report.proxy, report.version, report.state.value, report.since, report.reason, report.control_plane


def _report(row: Row) -> ProxyReport:
    proxy, version, state, since, reason, control_plane = row
    return ProxyReport(version, proxy, ProxyState(state), since, reason, control_plane)
