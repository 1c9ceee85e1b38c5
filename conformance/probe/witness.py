"""The witness, as a check directs it: where else it listens, where nobody does, and which calls it lets wait.

What reached it says `Probe.arrivals`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from conformance.mesh import Mesh, WitnessEndpoint, refusing_address
from conformance.model.policy import Endpoint

__all__ = ["Witness"]


class Witness:
    """Belongs to a probe."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @asynccontextmanager
    async def extra_endpoint(self, name: str = "extra") -> AsyncIterator[WitnessEndpoint]:
        """One more endpoint of the witness; calls find it once a policy names its address. Set its `answer` at will."""
        here = self._mesh.sites.application(self._mesh.subject)
        endpoint = await self._mesh.witness.open_endpoint(name, here)
        try:
            yield endpoint
        finally:
            await self._mesh.witness.close_endpoint(endpoint)

    def refusing_address(self) -> AbstractContextManager[Endpoint]:
        """An address beside the witness that refuses every connection."""
        return refusing_address(self._mesh.sites.application(self._mesh.subject))

    @property
    def held(self) -> int:
        """How many calls the witness has received and holds, as told by `Answer.hold`."""
        return self._mesh.witness.holding

    def release(self) -> None:
        """The witness answers all calls that it holds."""
        self._mesh.witness.release()
