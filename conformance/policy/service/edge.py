"""Where HTTP becomes a checked call, and an answer becomes HTTP again.

What holds for every request, whatever it holds:
- it is answered with a correlation id: the caller's own, or a new one;
- without a proven identity it is 401, but for operations that are open to everybody;
- only what the contract declares is served: other paths are 404, other methods 405 with `Allow`;
- without a role that the operation asks for it is 403;
- a handler sees only a checked body;
- a refusal shows nothing of the inside.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote_to_bytes

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conformance.model.errors import EnvironmentFault, MeshmarkError, UsageError
from conformance.policy.service.bodies import LARGEST_BODY, JsonValue, read_json
from conformance.policy.service.callers import Caller, Role
from conformance.policy.service.problems import Flaw, Problem, Reason
from conformance.policy.store import Author

__all__ = ["CORRELATION_HEADER", "Access", "Call", "Observer", "Operation", "application", "new_correlation_id"]

CORRELATION_HEADER = "X-Correlation-Id"
CORRELATION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
# A client that still sends when the connection closes may lose the answer, so a refused body is drained for a while.
LARGEST_DRAIN = 8 * LARGEST_BODY
DRAIN_S = 1.0
RETRY_AFTER_S = 2
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Access:
    """Who may call an operation: everybody, or proven identities, or only those with one of the roles."""

    roles: frozenset[Role] = frozenset()
    anonymous: bool = False


@dataclass(frozen=True)
class Call:
    """A checked request."""

    operation: str
    path: Mapping[str, str]
    caller: Caller
    author: Author
    request: Request
    correlation_id: str
    media_type: str = ""
    body: JsonValue = None


@dataclass(frozen=True)
class Operation:
    """One operation of the contract: its `operationId`, and the coroutine that carries it out.

    `media_types` are those of its body; none: it has no body.
    """

    name: str
    method: str
    path: str
    access: Access
    handle: Callable[[Call], Awaitable[Response]]
    media_types: frozenset[str] = field(default=frozenset())


class Observer(Protocol):
    """Is told about each request and its answer."""

    def under_way(self) -> AbstractContextManager[object]:
        """A request is under way."""
        ...

    def answered(self, operation: str, method: str, status: int, seconds: float) -> None:
        """An answer began, so long after the request's head."""
        ...

    def refused(self, reason: Reason) -> None:
        """A request was refused."""
        ...

    def unavailable(self, fault: MeshmarkError) -> None:
        """A request could not be served."""
        ...


def new_correlation_id() -> str:
    """An id for a request that came without one."""
    return str(uuid.uuid4())


def application(
    operations: Sequence[Operation], identify: Callable[[Scope], Caller | None], observer: Observer
) -> ASGIApp:
    """The whole of the service's HTTP side.

    Args:
        operations: all of the contract.
        identify: the proven caller of a request; None: nobody knows.
        observer: is told about answers and refusals.

    """
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    # A literal path wins over a template, as OpenAPI wants it.
    routes = [
        _Resource(path, here, identify, observer)
        for path, here in sorted(by_path.items(), key=lambda entry: "{" in entry[0])
    ]
    router = Router(routes, redirect_slashes=False, default=_Nothing(identify, observer))
    return _Edge(ServerErrorMiddleware(router, handler=_crashed), observer)


class _Resource(BaseRoute):
    """One path template and its operations. It matches the path as sent, so no escape sequence is another way in."""

    def __init__(
        self,
        path: str,
        operations: Sequence[Operation],
        identify: Callable[[Scope], Caller | None],
        observer: Observer,
    ) -> None:
        self._pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
        self._operations = {operation.method: operation for operation in operations}
        self._identify = identify
        self._observer = observer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self._pattern.fullmatch(scope["raw_path"].decode("ascii")) if scope["type"] == "http" else None
        return (Match.FULL, {"path_params": found.groupdict()}) if found else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except Problem as problem:
            self._observer.refused(problem.reason)
            response = problem.response()
        except (EnvironmentFault, UsageError) as fault:
            # A store that cannot be reached, or was replaced by an older one. What the fault says may name hosts and
            # files, which are no business of a client.
            self._observer.unavailable(fault)
            response = Problem(
                Reason.UNAVAILABLE,
                "the store cannot be reached or written; to repeat the request is safe",
                headers={"retry-after": str(RETRY_AFTER_S)},
            ).response()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        access = operation.access if operation else Access()
        caller = self._identify(request.scope) or _anonymous(access)
        if operation is None:
            allowed = ", ".join(sorted(self._operations))
            detail = f"this resource answers {allowed} only"
            raise Problem(Reason.METHOD_NOT_ALLOWED, detail, headers={"allow": allowed})
        request.state.operation = operation.name
        if request.state.correlation_id_refused:
            reason = "must be sent once, as 1 to 128 letters, digits, dots, - _ or ~"
            raise Problem(Reason.INVALID, "a header is not valid", [Flaw(reason, parameter=CORRELATION_HEADER)])
        author = Author(caller.identity, _role(operation.access, caller))
        path = {name: _decoded(name, value) for name, value in request.path_params.items()}
        call = Call(operation.name, path, caller, author, request, request.state.correlation_id)
        if operation.media_types:
            media_type, body = await read_json(request, operation.media_types)
            call = Call(operation.name, path, caller, author, request, call.correlation_id, media_type, body)
        return await operation.handle(call)


class _Nothing:
    """What is not there. Somebody without an identity is not told."""

    def __init__(self, identify: Callable[[Scope], Caller | None], observer: Observer) -> None:
        self._identify = identify
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _ = self._identify(scope) or _anonymous(Access())
            raise Problem(Reason.NOT_FOUND, "there is nothing under this path")
        except Problem as problem:
            self._observer.refused(problem.reason)
            await problem.response()(scope, receive, send)


class _Edge:
    """Outermost: the correlation id of every answer, its time, and the end of a body that nobody wanted to read."""

    def __init__(self, inner: ASGIApp, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        headers = Request(scope).headers
        sent = headers.getlist(CORRELATION_HEADER)
        acceptable = len(sent) == 1 and CORRELATION_ID.fullmatch(sent[0])
        correlation_id = sent[0] if acceptable else new_correlation_id()
        state = scope["state"]
        state |= {"correlation_id": correlation_id, "correlation_id_refused": bool(sent) and not acceptable}
        body = _IncomingBody(receive, announced=bool({"content-length", "transfer-encoding"} & set(headers.keys())))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.monotonic() - began
                known = state.get("operation", UNKNOWN)
                self._observer.answered(known, scope["method"] if known != UNKNOWN else "", message["status"], seconds)
                extra = [(CORRELATION_HEADER.lower().encode(), correlation_id.encode())]
                if "expect" not in headers:
                    await body.drain()
                if not body.ended:
                    extra.append((b"connection", b"close"))
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        with self._observer.under_way():
            await self._inner(scope, body.receive, answer)


class _IncomingBody:
    """Knows whether the request's body has come to its end."""

    def __init__(self, receive: Receive, *, announced: bool) -> None:
        self._receive = receive
        self.ended = not announced

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = self.ended or not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Throw away what is left, within bounds of size and time."""
        drained = 0
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self.ended and drained < LARGEST_DRAIN:
                    drained += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


async def _crashed(_request: Request, _error: Exception) -> Response:
    # The stack trace goes to the log: the server re-raises the error once this answer is out.
    return Problem(Reason.INTERNAL, "the service failed; its log says why under the correlation id").response()


def _anonymous(access: Access) -> Caller:
    if not access.anonymous:
        raise Problem(
            Reason.UNAUTHENTICATED,
            "the caller has no proven identity: a certificate of the mesh with exactly one SPIFFE id is needed",
            headers={"www-authenticate": "MutualTLS"},
        )
    return Caller("", frozenset())


def _role(access: Access, caller: Caller) -> str:
    """The role that lets the caller in; empty if none is needed."""
    if not access.roles:
        return ""
    holding = sorted(access.roles & caller.roles)
    if not holding:
        asked = " or ".join(sorted(access.roles))
        raise Problem(Reason.FORBIDDEN, f"{caller.identity} does not have the role {asked}")
    return holding[0]


def _decoded(name: str, value: str) -> str:
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(Reason.INVALID, "the path is not valid", [Flaw("is not UTF-8", parameter=name)]) from None
