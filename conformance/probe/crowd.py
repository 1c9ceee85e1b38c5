"""A crowd of calls, all alike, of which only counts where they arrive: cheap enough for samples of a thousand.

Invariants: the calls go one after the other through the caller's security server, none is repeated, and all of them
have one nonce. They are pipelined (RFC 9112 section 9.3.2), so that nobody waits for the suite itself.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass

from conformance.mesh import CALLER, NONCE_HEADER, WITNESS, Answer, Mesh
from conformance.model.policy import Endpoint
from conformance.probe.exchange import new_nonce
from conformance.system.deadlines import time_limit

__all__ = ["Arrived", "Crowd"]

AT_ONCE = 50
READ_SIZE = 64 * 1024
HEAD_ENDS = b"\r\n\r\n"


@dataclass(frozen=True)
class Arrived:
    """What became of the calls: how many were answered by the witness, and where they reached it, one after another."""

    answered: int
    endpoints: tuple[str, ...]

    @property
    def by_endpoint(self) -> dict[str, int]:
        """How many reached each endpoint."""
        return dict(Counter(self.endpoints))


class Crowd:
    """Calls the witness as the calling application does."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def call(self, path: str, calls: int) -> Arrived:
        """So many calls of the witness, POST and without a body; what is not answered in time is not counted."""
        origin = self._mesh.members[CALLER].for_applications
        nonce = new_nonce()
        self._mesh.witness.script(nonce, Answer(204))
        answered = 0
        for first in range(0, calls, AT_ONCE):
            answered += await self._answered(origin, path, nonce, min(AT_ONCE, calls - first))
        return Arrived(answered, tuple(arrival.endpoint for arrival in self._mesh.witness.arrived(nonce)))

    async def _answered(self, origin: Endpoint, path: str, nonce: str, calls: int) -> int:
        request = (
            f"POST /{WITNESS}{path} HTTP/1.1\r\nhost: mesh\r\n{NONCE_HEADER}: {nonce}\r\ncontent-length: 0\r\n\r\n"
        )
        here = self._mesh.sites.application(CALLER)
        reader, writer = await here.open_connection(origin.host, origin.port, timeout=self._mesh.timeouts.request)
        received = bytearray()
        with closing(writer), suppress(TimeoutError, ConnectionError):
            async with time_limit(self._mesh.timeouts.request):
                writer.write(request.encode() * calls)
                while received.count(HEAD_ENDS) < calls and (news := await reader.read(READ_SIZE)):
                    received += news
        return received.count(b"HTTP/1.1 204 ")
