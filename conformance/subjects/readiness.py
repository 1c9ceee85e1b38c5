"""Whether a subject is ready: it answers. If a path was named, that path with a status below 500; else anything will
do.

An accepted connection alone proves nothing: the port of a container is opened by the engine, long before the program
inside listens. A subject may be broken in any way, so each attempt is bounded in time and in bytes, and says exactly
what it met.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import httpx

from conformance.system.calling import transport_from, trusting_nobody
from conformance.system.deadlines import time_limit
from conformance.system.namespaces import NetworkNamespace, connect_from

__all__ = ["Attempt", "attempt"]

LONGEST_BODY = 1024 * 1024
SHOWN = 80


@dataclass(frozen=True)
class Attempt:
    """One look at the subject."""

    ready: bool
    seen: str
    """What was met, as the rest of a sentence that starts with "it"."""


async def attempt(
    origin_url: str,
    host: str,
    port: int,
    path: str | None,
    timeout: float,
    *,
    inside: NetworkNamespace | None = None,
) -> Attempt:
    """Look once, for at most `timeout` seconds.

    Args:
        origin_url: scheme, host and port.
        host: where to connect to.
        port: likewise.
        path: what must be answered with a status below 500, or None to be content with any answer to `GET /`.
        timeout: seconds for everything.
        inside: the network in which to look; the runner's own by default.

    """
    refused = await _connect(host, port, timeout, inside)
    if refused:
        return Attempt(False, refused)
    try:
        async with time_limit(timeout):
            return await _ask(origin_url, path or "/", any_answer=path is None, timeout=timeout, inside=inside)
    except TimeoutError:
        return Attempt(False, f"accepts connections, but GET {path or '/'} had no complete answer within {timeout:g} s")


async def _connect(host: str, port: int, timeout: float, inside: NetworkNamespace | None) -> str | None:
    try:
        if inside:
            (await connect_from(inside, host, port, timeout=timeout)).close()
            return None
        async with time_limit(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"does not accept a connection on {host}:{port} within {timeout:g} s"
    except OSError as problem:
        return f"does not accept a connection on {host}:{port}: {problem.strerror or problem}"
    writer.close()
    return None


async def _ask(
    origin_url: str, path: str, *, any_answer: bool, timeout: float, inside: NetworkNamespace | None
) -> Attempt:
    roots = ssl.create_default_context() if origin_url.startswith("https:") else trusting_nobody()
    transport = transport_from(inside, verify=roots) if inside else None
    # Inherited proxy settings would send a question about this machine to another one.
    async with httpx.AsyncClient(trust_env=False, verify=roots, timeout=timeout, transport=transport) as client:
        try:
            async with client.stream("GET", origin_url + path) as response:
                asked = f"answers GET {path} with {response.status_code}"
                if any_answer:
                    return Attempt(True, asked)
                size = 0
                async for piece in response.aiter_raw():
                    size += len(piece)
                    if size > LONGEST_BODY:
                        return Attempt(False, f"{asked}, but its body does not end within {LONGEST_BODY // 1024} KiB")
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.RemoteProtocolError as problem:
            return _misspoken(path, str(problem), any_answer)
        except (httpx.TransportError, ssl.SSLError) as problem:
            return Attempt(False, f"breaks off GET {path}: {type(problem).__name__} {str(problem)[:SHOWN]}".rstrip())
    return Attempt(response.status_code < 500, asked)


def _misspoken(path: str, problem: str, any_answer: bool) -> Attempt:
    if "disconnected" in problem:
        return Attempt(False, f"accepts connections, but closes them without an answer to GET {path}")
    if "peer closed" in problem:
        return Attempt(False, f"breaks off in the middle of its answer to GET {path}")
    # Such as HTTP/2 without negotiation, which is a fair thing to speak.
    return Attempt(any_answer, f"answers GET {path} with something that is not HTTP/1.1 ({problem[:SHOWN]})")
