"""Calls with a trace context (W3C Trace Context), chains of calls, and the spans that were exported about them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from conformance.mesh import BYSTANDER, CALLER, Answer, Mesh, Onward, Span, chain, contains_any
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import AccessRule, ServicePolicy
from conformance.probe.exchange import Exchange

if TYPE_CHECKING:
    from conformance.probe.probe import Probe

__all__ = ["CORRELATION_ID", "LAST", "TraceContext", "Tracing"]

CORRELATION_ID = "x-correlation-id"
LAST = "last-of-three"
"""The service at the end of the chain, behind the security server of the calling application."""


@dataclass(frozen=True)
class TraceContext:
    """What a caller says about the trace that its call belongs to."""

    trace_id: str
    parent_id: str
    sampled: bool

    @property
    def headers(self) -> dict[str, str]:
        """To be sent along."""
        return {"traceparent": f"00-{self.trace_id}-{self.parent_id}-{'01' if self.sampled else '00'}"}

    @classmethod
    def read(cls, traceparent: str | None) -> TraceContext | None:
        """What stands in a header; None if there is none, or no such one."""
        parts = (traceparent or "").split("-")
        if len(parts) != 4 or [len(part) for part in parts] != [2, 32, 16, 2]:
            return None
        return cls(parts[1], parts[2], sampled=bool(int(parts[3], 16) & 1))


class Tracing:
    """What a check may do with traces. Nobody but it asks for any, so there are no others."""

    def __init__(self, probe: Probe, mesh: Mesh) -> None:
        self._probe = probe
        self._mesh = mesh

    @staticmethod
    def context(*, sampled: bool = True) -> TraceContext:
        """A trace of its own."""
        return TraceContext(secrets.token_hex(16), secrets.token_hex(8), sampled)

    async def spans(
        self, context: TraceContext, complete: Callable[[Sequence[Span]], bool], *, what: str
    ) -> tuple[Span, ...]:
        """Wait until the spans of a trace satisfy a condition, in words `what`; gives those that came in time."""
        try:
            limit = self._probe.timeouts.observed
            return await self._mesh.collector.spans_of(context.trace_id, complete, what=what, timeout=limit)
        except DeadlineExceeded:
            return self.seen(context)

    def seen(self, context: TraceContext) -> tuple[Span, ...]:
        """The spans of a trace that have come by now."""
        return self._mesh.collector.spans(context.trace_id)

    async def allow_chain(self) -> bool:
        """Let the witness call the bystander's service, and that one call another behind the caller's own security
        server: so that a call passes three building blocks, and each security server of the suite twice.

        Waits until a call has passed it; False: none did in time.
        """
        configuration = self._mesh.governance.configuration
        subject, bystander = self._probe.subject.name, BYSTANDER
        members = (configuration.members[subject], configuration.members[bystander])
        wider = [
            replace(member, calls=(*member.calls, service))
            for member, service in zip(members, (BYSTANDER, LAST), strict=True)
        ]
        middle = configuration.services[BYSTANDER]
        last = ServicePolicy(
            service=LAST,
            provider=CALLER,
            endpoints=(await self._mesh.witness_beside(CALLER),),
            access=(AccessRule(self._mesh.identity(bystander)),),
        )
        opened = middle.changed(access=(*middle.access, AccessRule(self._mesh.identity(subject))))
        governance = self._mesh.governance
        version = await governance.commit(*wider, opened, last, note="a check makes a chain of three")
        await governance.settled(version)

        async def passed() -> bool:
            return (await self.call_chain({})).status == HTTPStatus.OK

        limit = self._probe.timeouts.enforced
        return bool(await self._probe.eventually(passed, what="a call passes three building blocks", timeout=limit))

    async def call_chain(self, headers: Mapping[str, str]) -> Exchange:
        """Call the witness, which calls the bystander's service, which calls the last one, before they answer.

        The arrivals under the call's nonce are then those at the three building blocks, in this order.
        """
        through = self._probe.subject.name, BYSTANDER
        targets = f"/{BYSTANDER}/second", f"/{LAST}/third"
        members, here = self._mesh.members, self._mesh.sites.application
        onward = [
            Answer(onward=Onward(members[server].for_applications, target, here(server)))
            for server, target in zip(through, targets, strict=True)
        ]
        return await self._probe.call("/first", method="POST", headers=headers, answers=[*onward, Answer()])

    @property
    def hops(self) -> tuple[tuple[str, str], ...]:
        """The security servers that a call of the chain passes, one after the other, each as client or as server."""
        subject = self._probe.subject.name
        calls = ((CALLER, subject), (subject, BYSTANDER), (BYSTANDER, CALLER))
        return tuple(hop for caller, provider in calls for hop in ((caller, "client"), (provider, "server")))

    chain = staticmethod(chain)
    leaks = staticmethod(contains_any)
