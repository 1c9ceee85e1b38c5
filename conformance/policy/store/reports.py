"""What became of versions at the security servers, as far as it is kept.

Invariant: reports of the newest `KEPT_VERSIONS` versions, and the last one about each proxy, which may be older: it
says what is in force there.
"""

from __future__ import annotations

from collections.abc import Sequence

from conformance.policy.store import ProxyReport, ProxyState
from conformance.policy.store.database import Row, Session
from conformance.policy.store.snapshot import newest

__all__ = ["KEPT_VERSIONS", "ReportBook"]

KEPT_VERSIONS = 1000

ADD = """
    INSERT INTO reports (proxy, version, state, since, reason, control_plane) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (proxy, version) DO UPDATE SET
        state = excluded.state, since = excluded.since,
        reason = excluded.reason, control_plane = excluded.control_plane
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
        session.run(
            ADD,
            [(one.proxy, one.version, one.state.value, one.since, one.reason, one.control_plane) for one in reports],
        )
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


def _report(row: Row) -> ProxyReport:
    proxy, version, state, since, reason, control_plane = row
    return ProxyReport(version, proxy, ProxyState(state), since, reason, control_plane)
