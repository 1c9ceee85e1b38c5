"""The control plane, as a check meets it: gone and back, and what security servers have from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.mesh import Mesh
from conformance.probe.updates import COUNTED_UPDATES, Updates
from conformance.system.deadlines import until

__all__ = ["ControlPlane"]


class ControlPlane:
    """Belongs to a probe."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @asynccontextmanager
    async def down(self, *, successor: bool = False) -> AsyncIterator[None]:
        """Until the end of the block the control plane is down, and every security server has noticed.

        Afterwards it is back, or a successor with an empty memory has taken over; every security server has found it
        and has acknowledged whatever it was sent.
        """
        governance = self._mesh.governance
        await governance.stop_control_plane()
        try:
            what = "every security server has lost its control plane"
            await until(self._cut_off, what=what, timeout=self._mesh.timeouts.observed)
            yield
        finally:
            await (governance.replace_control_plane() if successor else governance.start_control_plane())
        await governance.reunion()

    async def updates(self, server: str) -> Updates:
        """The configuration that a security server was sent and has taken over so far."""
        admin = self._mesh.members[server].running.admin
        sent = self._mesh.control_plane.status(server).types
        return Updates(
            sent={f"sent {kind}": status.responses for kind, status in sent.items()},
            taken_over=await admin.stats(COUNTED_UPDATES),
            versions=await admin.text_readouts(r"\.version_text$"),
        )

    async def _cut_off(self) -> bool:
        admins = [member.running.admin for member in self._mesh.members.values()]
        states = [await admin.stats(r"^control_plane\.connected_state$") for admin in admins]
        return not any(connected for state in states for connected in state.values())
