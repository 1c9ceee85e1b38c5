"""The life of a service's process: it serves, says so, and ends in order when told to or when something breaks."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import click

from conformance.cli.serve.options import Address
from conformance.model.errors import EnvironmentFault

__all__ = ["GRACE_S", "observed", "run", "say", "until_told"]

GRACE_S = 5.0
"""What is under way when the process is told to stop has that long to end."""


def run(serving: Coroutine[Any, Any, None]) -> int:
    """Serve on an event loop of its own, with the log on standard error; gives the exit code."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=form)
    asyncio.run(serving)
    return 0


def say(line: str) -> None:
    """The one line that says that the service serves."""
    click.echo(line)
    sys.stdout.flush()


async def until_told(*parts: Coroutine[Any, Any, None]) -> None:
    """Return when the process is told to stop (SIGTERM, SIGINT), or raise what one of the parts has ended over."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    tasks = [asyncio.ensure_future(told.wait()), *(asyncio.ensure_future(part) for part in parts)]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def observed(address: Address, metrics: Callable[[], bytes], healthy: Callable[[], bool]) -> AsyncIterator[str]:
    """Serve `/metrics` (Prometheus' text format) and `/health` (200 or 503) by plain HTTP; gives the URL.

    Raises:
        EnvironmentFault: the address cannot be had.

    """
    import uvicorn  # noqa: PLC0415 -- the policy admin service has its own
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import JSONResponse, Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from conformance.policy.service.http import Server  # noqa: PLC0415

    async def exposed(_: Request) -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    async def health(_: Request) -> Response:
        well = healthy()
        return JSONResponse({"status": "ok" if well else "unavailable"}, 200 if well else 503)

    listener = _listener(address)
    port = listener.getsockname()[1]
    application = Starlette(routes=[Route("/metrics", exposed), Route("/health", health)])
    configuration = uvicorn.Config(
        application, ws="none", loop="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = Server(configuration)
    serving = asyncio.create_task(server.serve([listener]), name="metrics and health")
    await server.serving.wait()
    try:
        yield f"http://{Address(address.host, port)}"
    finally:
        server.should_exit = True
        await serving


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(ip_address(address.host)), address.port))
        listener.listen()
    except (OSError, ValueError) as error:
        listener.close()
        raise EnvironmentFault(
            f"metrics cannot be served on {address}: {error}",
            next_step="name an IP address of this machine by --observe, and a port that is free, or 0",
        ) from error
    return listener
