"""The live page: an HTTP server on loopback that shows how a mesh stands, and changes nothing.

Invariants: it answers GET and HEAD only, and only under the names of loopback, so that no page of elsewhere can read it
by a name of its own (DNS rebinding); a page carries its style and its one small script, and nothing else runs or is
loaded; the server renders everything, the script only fetches it anew.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from conformance.mesh.live.status import SILENT, status_of
from conformance.mesh.mesh import Mesh
from conformance.model.errors import EnvironmentFault
from conformance.model.verdict import now
from conformance.policy.service.http import Server

__all__ = ["LivePage"]

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MARKS = {
    "applied": "●",
    "allowed": "●",
    "running": "●",
    "pending": "○",
    SILENT: "○",
    "rejected": "✕",
    "refused": "✕",
    "gone": "✕",
    "ended": "✕",
}
"""A shape for each word, so that colour alone says nothing."""


class LivePage:
    """Shows one mesh. Belongs to the mesh's event loop."""

    def __init__(self, mesh: Mesh, *, name: str, port: int = 0) -> None:
        """Nothing is opened yet.

        Args:
            mesh: it runs.
            name: what it is called.
            port: where to listen; 0: a free one.

        """
        self._mesh = mesh
        self._name = name
        self._since = now()
        self._port = port
        routes = [
            Route("/", self._page),
            Route("/status.json", self._status),
            Route("/metrics", self._metrics),
        ]
        configuration = uvicorn.Config(
            _Guarded(Starlette(routes=routes), self._hosts),
            http="h11",
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = Server(configuration)
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is, once it has started."""
        return f"http://{HOST}:{self._port}/"

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            EnvironmentFault: the port cannot be had.

        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self._port))
            listener.listen()
        except OSError as problem:
            listener.close()
            raise EnvironmentFault(
                f"the live page cannot listen on {HOST}:{self._port}: {problem.strerror or problem}",
                next_step="name a port that is free, or 0",
            ) from problem
        self._port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]), name="live page")

    async def stop(self) -> None:
        """Accept nothing more, and close."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    def _hosts(self) -> frozenset[str]:
        return frozenset(f"{name}:{self._port}" for name in NAMES) | (frozenset(NAMES) if self._port == 80 else set())

    async def _page(self, _request: Request) -> Response:
        status = await self._state()
        names = {client["identity"]: client["name"] for client in status["clients"]}
        content = _template().render(status, names=names, **_standing(status))
        return Response(
            content, media_type="text/html", headers={"content-security-policy": _content_security_policy()}
        )

    async def _status(self, _request: Request) -> Response:
        return Response(json.dumps(await self._state(), indent=1), media_type="application/json")

    async def _metrics(self, _request: Request) -> Response:
        governance = self._mesh.governance
        text = self._mesh.control_plane.metrics() + governance.authentication.metrics()
        policy_admin = await governance.policy_admin.client()
        return Response(text + (await policy_admin.metrics()).encode(), media_type=METRICS_TYPE)

    async def _state(self) -> dict[str, Any]:
        status = await status_of(self._mesh, name=self._name, since=self._since)
        revision = hashlib.sha256(json.dumps(status, sort_keys=True).encode()).hexdigest()[:12]
        return {"revision": revision, **status}


class _Guarded:
    """Lets nothing through but GET and HEAD under a name of loopback, and says so in every answer."""

    HEADERS = (
        (b"cache-control", b"no-store"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
    )

    def __init__(self, app: ASGIApp, hosts: Any) -> None:  # noqa: ANN401
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:  # noqa: ANN401
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.HEADERS]
            await send(message)

        request = Request(scope)
        app: ASGIApp = self._app
        if request.headers.getlist("host") not in [[host] for host in self._hosts()]:
            app = PlainTextResponse("this page is only for those who call it by its own address\n", 421)
        elif request.method not in {"GET", "HEAD"}:
            app = PlainTextResponse("nothing can be changed here\n", 405, {"allow": "GET, HEAD"})
        await app(scope, receive, with_headers)


def _standing(status: Mapping[str, Any]) -> dict[str, str]:
    """The whole mesh in one sentence, and the word for its colour."""
    servers = status["security_servers"]
    several = len(servers)
    gone = [each["name"] for each in servers if not each["alive"]]
    rejected = [each["name"] for each in servers if each["state"] == "rejected"]
    waiting = [each["name"] for each in servers if each["state"] in {"pending", SILENT}]
    if gone:
        return {"standing": "gone", "headline": f"{len(gone)} of {several} security servers are gone"}
    if rejected:
        return {
            "standing": "rejected",
            "headline": f"{len(rejected)} of {several} security servers rejected policies and keep the last good ones",
        }
    if waiting:
        return {"standing": "pending", "headline": f"Waiting for {len(waiting)} of {several} security servers"}
    return {"standing": "applied", "headline": f"All {several} security servers have applied the policies"}


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text("utf-8")


@cache
def _template() -> Any:  # noqa: ANN401 -- Jinja's templates are untyped
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # These two are ours, and their digests stand in the policy of the page.
    own = {"css": Markup(_asset("live.css")), "script": Markup(_asset("live.js"))}  # noqa: S704
    environment.globals |= {"MARKS": MARKS, **own}
    return environment.get_template("live.html.j2")


@cache
def _content_security_policy() -> str:
    digests = {
        name: base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode()
        for name in ("live.css", "live.js")
    }
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{digests['live.css']}'",
            f"script-src 'sha256-{digests['live.js']}'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
