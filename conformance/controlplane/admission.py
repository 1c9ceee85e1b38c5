"""Who may have the configuration of which node: a stream shows a certificate, and somebody judges it.

Invariants: a stream is judged before it is told anything, and again whenever it is asked for; one that is not admitted
any more ends. Without a judge everybody who reaches the listener is admitted: that is for unix sockets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc.aio

from conformance.controlplane.metrics import Metrics

if TYPE_CHECKING:
    from conformance.controlplane.stream import Stream

__all__ = ["Admission", "Admits"]

log = logging.getLogger(__name__)

Admits = Callable[[str, bytes], bool]
"""Whether whoever has proven this certificate (PEM; empty: none) may have the configuration of this node."""

KEPT = 1000


class Admission:
    """Judges streams, and remembers those that are open."""

    def __init__(self, admits: Admits | None, metrics: Metrics) -> None:
        self._admits = admits
        self._metrics = metrics
        self._open: dict[Stream, tuple[str, bytes]] = {}
        self._told: set[str] = set()

    async def admit(self, node_id: str, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """The certificate of a stream that is admitted to a node; any other stream is aborted."""
        shown = list(context.auth_context().get("x509_pem_cert", ()))
        certificate = shown[0] if shown else b""
        if not self._allows(node_id, certificate):
            self._metrics.not_admitted()
            # A proxy that is refused tries again, several times a second.
            if node_id not in self._told and len(self._told) < KEPT:
                self._told.add(node_id)
                log.warning("node %r was refused: its certificate is not that of this node", node_id)
            await self.refuse(node_id, context)
        self._told.discard(node_id)
        return certificate

    def enter(self, stream: Stream, node_id: str, certificate: bytes) -> None:
        """An admitted stream is told its configuration from now on."""
        self._open[stream] = (node_id, certificate)

    def leave(self, stream: Stream) -> None:
        """It is over."""
        self._open.pop(stream, None)

    def still_admits(self, stream: Stream) -> bool:
        """Whether an open stream would be admitted now."""
        return self._allows(*self._open[stream])

    def judge_again(self) -> None:
        """End every stream that would not be admitted now."""
        for stream in [each for each in self._open if not self.still_admits(each)]:
            stream.end()

    @staticmethod
    async def refuse(node_id: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Abort a stream."""
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED, f"this certificate may not have the configuration of node {node_id!r}"
        )

    def _allows(self, node_id: str, certificate: bytes) -> bool:
        return self._admits is None or self._admits(node_id, certificate)
