"""`meshmark mesh up`: the reference system on its own, for whoever wants to see it, or to build against it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from conformance.cli.curl_lines import curl_lines
from conformance.cli.running import DEFAULT_NAME, claimed
from conformance.envoy.choose import RuntimeChoice, choose_runtime
from conformance.mesh.blueprint import draw_blueprint
from conformance.mesh.live.page import LivePage
from conformance.mesh.reference import AUTHORITY, OPERATOR, ReferenceMesh
from conformance.model.errors import ExitCode
from conformance.model.policies import Topology
from conformance.model.timeouts import Timeouts
from conformance.system.guard import Guard

__all__ = ["command"]


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    topology: Topology | None
    services: tuple[str, ...] | None
    policies: Path | None
    store: str | None
    envoy: str | None
    runtime: RuntimeChoice
    name: str
    port: int
    policy_port: int


@click.group(name="mesh")
def command() -> None:
    """The reference system: a whole mesh with policies, building blocks and everything that decides."""


@command.command()
@click.option(
    "--topology",
    type=click.Choice([each.value for each in Topology]),
    help="Where security servers stand; by default as the policies say.",
)
@click.option("--services", metavar="NAME,...", help="Start these reference building blocks only.")
@click.option("--policies", type=click.Path(path_type=Path), help="File or folder of policies to begin with.")
@click.option("--store", metavar="URL", help="Keep policies here: sqlite:PATH or postgresql://...; else they are gone.")
@click.option("--envoy", metavar="VERSION|PATH|IMAGE", help="Another Envoy than the embedded one.")
@click.option(
    "--runtime", type=click.Choice(["auto", "process", "container"]), default="auto", help="How Envoy is run."
)
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="Tells it apart from others that run.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the live page; 0 takes a free one.")
@click.option(
    "--policy-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the policy admin service; 0 takes a free one.",
)
def up(
    topology: str | None,
    services: str | None,
    policies: Path | None,
    store: str | None,
    envoy: str | None,
    runtime: RuntimeChoice,
    name: str,
    port: int,
    policy_port: int,
) -> int:
    """Start the reference system, say how to call it, and stay until it is interrupted.

    Nothing is left behind, but what --store names.
    """
    wanted = Wanted(
        topology=Topology(topology) if topology else None,
        services=tuple(each.strip() for each in services.split(",")) if services is not None else None,
        policies=policies,
        store=store,
        envoy=envoy,
        runtime=runtime,
        name=name,
        port=port,
        policy_port=policy_port,
    )
    return asyncio.run(_up(wanted))


async def _up(wanted: Wanted) -> int:
    """Run it until a signal comes: the ordinary end once it serves, an interruption before."""
    loop, interrupted, ready = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted.set)
    guard = Guard()
    try:
        serving = asyncio.create_task(_serve(wanted, guard, ready, interrupted))
        waiting = asyncio.create_task(interrupted.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not ready.is_set() and serving.cancel():
            with suppress(asyncio.CancelledError):
                await serving
            return ExitCode.INTERRUPTED
        await serving
    finally:
        guard.close()
    return ExitCode.CONFORMANT


async def _until(interrupted: asyncio.Event, mesh: ReferenceMesh) -> None:
    """Let members come and go until somebody interrupts.

    Raises:
        EnvironmentFault: a security server of a new member does not start.

    """
    following, waiting = asyncio.create_task(mesh.follow_members()), asyncio.create_task(interrupted.wait())
    try:
        ended, _ = await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in (following, waiting):
            task.cancel()
        await asyncio.gather(following, waiting, return_exceptions=True)


async def _serve(wanted: Wanted, guard: Guard, ready: asyncio.Event, interrupted: asyncio.Event) -> None:
    async with AsyncExitStack() as exits:
        claim = exits.enter_context(claimed(wanted.name, guard))
        blueprint = await draw_blueprint(
            store=wanted.store, policies=wanted.policies, services=wanted.services, topology=wanted.topology
        )
        chosen = await choose_runtime(wanted.runtime, wanted.envoy, guard)
        servers = f"{len(blueprint.members)} security servers"
        click.echo(f"starting {servers} (Envoy {chosen.runtime.version}, {chosen.reason})")
        mesh = ReferenceMesh(
            blueprint,
            runtime=chosen.runtime,
            timeouts=Timeouts(),
            guard=guard,
            store=wanted.store,
            policy_port=wanted.policy_port,
        )
        await exits.enter_async_context(mesh)
        page = LivePage(mesh, name=wanted.name, port=wanted.port)
        await page.start()
        exits.push_async_callback(page.stop)
        claim.announce(
            url=mesh.governance.policy_admin.url,
            page=page.url,
            authority=mesh.certificates / AUTHORITY,
            certificate=mesh.certificate(OPERATOR),
        )
        _say_ready(mesh, page.url)
        ready.set()
        await mesh.members.unless_dead(_until(interrupted, mesh))
        click.echo("stopping")


def _say_ready(mesh: ReferenceMesh, page: str) -> None:
    click.echo("ready")
    click.echo(f"\nlive page: {page}")
    click.echo(f"certificates: {mesh.certificates} (gone when this ends)")
    click.echo("change policies: meshmark policy apply FILE; look at them: meshmark policy get")
    for line in curl_lines(mesh, page):
        click.echo(f"\n{line}")
    click.echo("\nCtrl-C ends it.")
