"""The authentication service: security servers ask it about each call, and it follows the same policies as they do.

Invariants: all methods belong to the event loop that `start` was called on; without policies everything is refused, and
an error of its own is a refusal, too (the security server takes a failed question for a no); stopping keeps the
policies; each answer is noted before it is given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from conformance.authn.answers import CheckRequest, answer_to, call_in, identity_headers
from conformance.authn.behaviour import Behaviour
from conformance.authn.call import Call, Decision
from conformance.authn.deciding import decide
from conformance.authn.decision_log import DecisionLog, Line, line_of
from conformance.authn.knowledge import Knowledge
from conformance.authn.limit_answers import RateLimitRequest, descriptors_in, limit_answer_to
from conformance.authn.limits import DOMAIN, Limits
from conformance.authn.metrics import Metrics
from conformance.authn.reasons import Reason
from conformance.authn.tokens import Tokens
from conformance.model.errors import MeshmarkError, SuiteFault
from conformance.model.policies import PolicyChange, PolicyFeed
from conformance.protobuf.listen import TlsListen, UnixListen, open_listener
from conformance.protobuf.messages import DynamicMessage

__all__ = ["AuthenticationService"]

log = logging.getLogger(__name__)

AUTHORIZATION = "envoy.service.auth.v3.Authorization"
RATE_LIMITS = "envoy.service.ratelimit.v3.RateLimitService"
OPTIONS = (("grpc.so_reuseport", 0),)
FOLLOW_AGAIN_S = 0.5
"""Seconds after a feed has failed. Until then the last policies count."""

Context = grpc.aio.ServicerContext[DynamicMessage, bytes]


class AuthenticationService:
    """Answers `envoy.service.auth.v3.Authorization` and `envoy.service.ratelimit.v3.RateLimitService`."""

    def __init__(
        self,
        *,
        behaviour: Behaviour | None = None,
        decision_log: Path | None = None,
        on_decision: Callable[[Line], object] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a service that knows nothing yet.

        Args:
            behaviour: seeded defects.
            decision_log: file to which decisions are appended.
            on_decision: called with each decision on the event loop; must not block.
            clock: seconds since 1970, for tokens and the log.
            monotonic: seconds, for limits.

        """
        self._behaviour = behaviour or Behaviour()
        self._knowledge = Knowledge()
        self._tokens = Tokens()
        self._limits = Limits(monotonic)
        self._metrics = Metrics()
        self._log = DecisionLog(decision_log, on_decision)
        self._clock = clock
        self._server: grpc.aio.Server | None = None
        self._listen: UnixListen | TlsListen | None = None
        self._following: asyncio.Task[None] | None = None
        self._learned = asyncio.Condition()
        self._answering = asyncio.Event()
        self._answering.set()

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether security servers can ask."""
        return self._server is not None

    async def start(self, listen: UnixListen | TlsListen) -> int | None:
        """Open the listener; returns the port, or None for a unix socket.

        Raises:
            SuiteFault: it runs already.
            EnvironmentFault: the address cannot be used.

        """
        if self._server is not None:
            raise SuiteFault("the authentication service runs already", next_step="stop it before starting it again")
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers(self._handlers())
        port = await open_listener(server, listen, whose="the authentication service")
        self._server, self._listen = server, listen
        self._log.start()
        return port

    async def stop(self, *, grace_s: float | None = None) -> None:
        """Close the listener; questions under way fail, unless they end within `grace_s` seconds. What is known stays,
        and a feed is followed on.
        """
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)
            await asyncio.to_thread(self._log.stop)

    async def restart(self) -> int | None:
        """Stop, and start at the same address."""
        listen = self._listen
        if listen is None:
            raise SuiteFault("the authentication service never ran", next_step="start it first")
        await self.stop()
        return await self.start(listen)

    async def close(self, *, grace_s: float | None = None) -> None:
        """Stop, and follow no feed any more."""
        following, self._following = self._following, None
        try:
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
        finally:
            await self.stop(grace_s=grace_s)

    def hang(self) -> None:
        """Answer nothing until `resume`; questions are kept."""
        self._answering.clear()

    def resume(self) -> None:
        """Answer again, first what was kept."""
        self._answering.set()

    # -- policies ------------------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The version of the store by which calls are decided now; 0: none yet, everything is refused."""
        return self._knowledge.version

    async def at_version(self, version: int) -> int:
        """Wait until calls are decided by this version or a later one; returns which. Set a deadline around it."""
        async with self._learned:
            await self._learned.wait_for(lambda: self.version >= version)
        return self.version

    async def apply(self, change: PolicyChange) -> None:
        """Take in a change. The next question is answered by it; one that is known already changes nothing."""
        for each in self._behaviour.receive(change):
            self._knowledge.apply(each)
        self._metrics.learned(self.version)
        async with self._learned:
            self._learned.notify_all()

    def follow(self, feed: PolicyFeed) -> None:
        """Take in everything that a feed says, from now until `close`. Without it the last policies go on to count.

        Raises:
            SuiteFault: it follows a feed already.

        """
        if self._following is not None:
            raise SuiteFault("the authentication service follows a feed already", next_step="follow one feed only")
        self._following = asyncio.create_task(self._follow(feed), name="policies of the authentication service")
        self._following.add_done_callback(_tell_why_ended)

    async def _follow(self, feed: PolicyFeed) -> None:
        while True:
            try:
                async for change in feed.changes(self.version):
                    await self.apply(change)
            except MeshmarkError as problem:
                log.warning("policies cannot be followed: %s", problem)
            await asyncio.sleep(FOLLOW_AGAIN_S)

    # -- observation ---------------------------------------------------------------------------------------------------

    @property
    def recent(self) -> tuple[Line, ...]:
        """The last decisions, oldest first."""
        return tuple(self._log.recent)

    def metrics(self) -> bytes:
        """Counts and times in Prometheus' text format."""
        return self._metrics.text(lost_lines=self._log.lost)

    # -- questions -----------------------------------------------------------------------------------------------------

    def _handlers(self) -> tuple[grpc.GenericRpcHandler[Any, Any], ...]:
        check = grpc.unary_unary_rpc_method_handler(self._check, request_deserializer=CheckRequest.FromString)
        limit = grpc.unary_unary_rpc_method_handler(self._limit, request_deserializer=RateLimitRequest.FromString)
        return (
            grpc.method_handlers_generic_handler(AUTHORIZATION, {"Check": check}),
            grpc.method_handlers_generic_handler(RATE_LIMITS, {"ShouldRateLimit": limit}),
        )

    async def _check(self, request: DynamicMessage, context: Context) -> bytes:
        begun = time.perf_counter()
        await self._answering.wait()
        call = call_in(request)
        await self._behaviour.before_answer(call)
        return self._answer(call, begun)

    def _answer(self, call: Call, begun: float) -> bytes:
        now = self._clock()
        noted = Decision(Reason.INTERNAL_ERROR, store_version=self.version)
        try:
            decision = self._behaviour.decide(call, decide(self._knowledge, self._tokens, call, now))
            headers = self._behaviour.headers(call, identity_headers(decision))
            answer = answer_to(decision, headers, call.service)
            noted = decision
        finally:
            # After an error, too: it goes on to gRPC, which logs it and fails the question, and that is a refusal.
            self._metrics.decided(call.direction, noted.reason, time.perf_counter() - begun)
            line = self._behaviour.note(call, line_of(call, noted, now))
            if line is not None:
                self._log.add(line)
        return answer

    async def _limit(self, request: DynamicMessage, context: Context) -> bytes:
        await self._answering.wait()
        descriptors = descriptors_in(request) if request.domain == DOMAIN else []
        answers = self._limits.ask(descriptors, request.hits_addend or 1)
        judged = [
            replace(answer, over=self._behaviour.over_limit(descriptor, answer.over))
            for descriptor, answer in zip(descriptors, answers, strict=True)
        ]
        self._metrics.limited(over=not judged or any(answer.over for answer in judged))
        return limit_answer_to(judged)


def _tell_why_ended(following: asyncio.Task[None]) -> None:
    """A defect must not pass in silence: from now on calls are decided by policies that grow old."""
    if not following.cancelled() and (problem := following.exception()):
        log.critical("policies are not followed any more", exc_info=problem)
