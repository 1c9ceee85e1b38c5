"""What it costs to ask the authentication service about each call, and how many questions it answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from conformance.authn.call import Call
from conformance.authn.deciding import decide
from conformance.authn.knowledge import Knowledge
from conformance.authn.tokens import Tokens
from conformance.model.policy import Endpoint
from conformance.probe import KeptConnection
from tests.authn.authn_parts import (
    AUDIENCE,
    CLINIC,
    EVERYTHING,
    TOKENS,
    TRUST,
    Asking,
    Proxy,
    asking,
    change,
    envoy,
    listener,
    mutual_tls,
    private_folder,
    told,
)
from tests.bench.measuring import compare, taking_turns_async

__all__ = ["decisions"]

CALLS = 2_000
QUESTIONS = 20_000
AT_ONCE = 64
ALONE = 100_000
GOOD_TOKEN = {"authorization": f"Bearer {TOKENS.token(AUDIENCE)}"}


def decisions() -> None:
    """The same route with and without the question, taking turns; then as many questions as there is time for."""
    _alone()
    asyncio.run(_with_envoy())


def _alone() -> None:
    known = Knowledge()
    known.apply(change(1, *EVERYTHING))
    call = Call("inbound", "births", "registry", "GET", "/births/v1/births/17", principal=CLINIC.identity)
    tokens = Tokens()
    begun = time.perf_counter()
    for _ in range(ALONE):
        decide(known, tokens, call, begun)
    click.echo(f"  the decision alone: {(time.perf_counter() - begun) / ALONE * 1e6:.1f} us")


async def _with_envoy() -> None:
    async with private_folder() as (folder, guard):
        socket = folder / "authn.sock"
        with _server(socket) as process:
            tls = mutual_tls(folder)
            routes = [_route("open"), _route("births"), _route("guarded")]
            listeners = [
                listener("unasked", folder, [], routes, tls=tls),
                listener("asked", folder, [asking()], routes, tls=tls),
            ]
            async with envoy(folder, guard, listeners, socket) as proxy:
                await _latency(proxy)
            bare = await _throughput(socket.with_name("bare.sock"), process.pid)
            answered = await _throughput(socket, process.pid)
            click.echo(f"  {answered:.0f} decisions for each second of one core, log and metrics included,")
            click.echo(f"  {answered / bare:.2f} times the answers of a gRPC server that always says the same")


def _route(service: str) -> dict[str, object]:
    asked = told("inbound", service, "registry")
    return {
        "match": {"prefix": f"/{service}/"},
        "route": {"cluster": "application"},
        "typed_per_filter_config": asked,
    }


async def _latency(proxy: Proxy) -> None:
    context = TRUST.issue("clinic").client_context(TRUST.bundle_pem)
    unasked, asked = (
        KeptConnection(Endpoint("127.0.0.1", proxy.ports[name]), timeout=10, tls=context)
        for name in ("unasked", "asked")
    )

    async def call(connection: KeptConnection, path: str) -> None:
        answer = await connection.call(path, headers=GOOD_TOKEN)
        assert answer.status == 200

    async with unasked, asked:
        await call(unasked, "/open/")
        await call(asked, "/open/")
        series = await taking_turns_async(
            CALLS,
            without_asking=lambda: call(unasked, "/open/"),
            asked_one_rule=lambda: call(asked, "/open/"),
            asked_rule_by_operation=lambda: call(asked, "/births/v1/births/17"),
            asked_rule_and_token=lambda: call(asked, "/guarded/"),
        )
    compare(series)
    added = [(each.median - series[0].median, each.percentile(99) - series[0].percentile(99)) for each in series[1:]]
    click.echo("  added, median and p99: " + ", ".join(f"{p50 * 1e3:.2f} and {p99 * 1e3:.2f} ms" for p50, p99 in added))


async def _throughput(socket: Path, pid: int) -> float:
    """Answers for each second of processor time, however busy the machine is."""
    client = Asking(socket)
    path, headers = "/births/v1/births/17", {"x-request-id": "bench"}

    async def ask() -> None:
        for _ in range(QUESTIONS // AT_ONCE):
            await client.check(service="births", path=path, headers=headers)

    await client.check()
    used = _processor_time(pid)
    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    used = _processor_time(pid) - used
    await client.close()
    return QUESTIONS / used


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _server(socket: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.bench.decision_server", str(socket)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(TOKENS.jwks + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
