"""`meshmark serve control-plane`: tells security servers what to do, by xDS, as the policies of a store say."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from ipaddress import ip_address
from pathlib import Path

import click
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from conformance.cli.serve.life import GRACE_S, observed, run, say, until_told
from conformance.cli.serve.options import (
    FILE,
    Address,
    TlsFiles,
    address_option,
    read,
    store_option,
    store_url,
    tls_files,
    tls_options,
)
from conformance.controlplane.server import ControlPlane
from conformance.mesh.controller import Controller
from conformance.mesh.installation import RENEW_AFTER, Installation, Plan
from conformance.model.errors import UsageError
from conformance.model.policy import Endpoint
from conformance.pki import GivenAuthority
from conformance.policy.store.opening import open_store
from conformance.protobuf.listen import TlsListen

__all__ = ["command"]


@click.command(name="control-plane")
@address_option("--listen", required=True, help="Where security servers find it (xDS); port 0: any.")
@tls_options(required=True)
@click.option(
    "--authority-certificate",
    type=FILE,
    required=True,
    metavar="FILE",
    help="PEM: certificate of the authority that signs for security servers, then those between it and the root.",
)
@click.option("--authority-key", type=FILE, required=True, metavar="FILE", help="PEM: its private key.")
@store_option
@address_option("--authentication", help="The authentication service; without it nobody is asked about calls.")
@click.option(
    "--machine",
    "machines",
    multiple=True,
    metavar="MEMBER=ADDRESS",
    help="The member's security server has a machine with this IP address (repeatable); others are sidecars.",
)
@click.option(
    "--access-log",
    type=FILE,
    default=Path("/dev/stdout"),
    show_default=True,
    metavar="FILE",
    help="Where each security server writes its access log to.",
)
@click.option("--name", help="Who reports what became of versions; by default the name of the host.")
@address_option("--observe", default="127.0.0.1:0", show_default=True, help="Metrics and health, by plain HTTP.")
def command(
    listen: Address,
    certificate: Path,
    key: Path,
    authorities: Path,
    authority_certificate: Path,
    authority_key: Path,
    store: str | None,
    authentication: Address | None,
    machines: tuple[str, ...],
    access_log: Path,
    name: str | None,
    observe: Address,
) -> int:
    """The control plane. Security servers get what the policies of the store say, and their certificates."""
    tls = tls_files(certificate, key, authorities)
    authority = GivenAuthority(read(authority_certificate), read(authority_key), tls.authorities)
    plan = Plan(
        authentication=Endpoint(*authentication) if authentication else None,
        access_log=access_log,
        machines=dict(map(_machine, machines)),
    )
    installation = Installation(authority, plan)
    return run(_serve(store_url(store), installation, tls, listen, name or socket.gethostname(), observe))


async def _serve(
    store: str, installation: Installation, tls: TlsFiles, listen: Address, name: str, observe: Address
) -> None:
    async with AsyncExitStack() as exits:
        kept = await open_store(store)
        exits.push_async_callback(kept.close)
        control_plane = ControlPlane(admits=installation.admits)
        controller = Controller(kept, installation, control_plane, name=name)
        exits.push_async_callback(controller.stop)
        await controller.start()
        url = await exits.enter_async_context(
            observed(
                observe,
                lambda: control_plane.metrics() + _standing(controller, installation),
                lambda: control_plane.running,
            )
        )
        exits.push_async_callback(controller.reported, within_s=GRACE_S)
        port = await control_plane.start(TlsListen(*listen, tls.certificate, tls.key, tls.authorities))
        exits.push_async_callback(control_plane.stop)
        say(f"control-plane serves on {Address(listen.host, port or 0)}, metrics on {url}/metrics")
        await until_told(controller.until_broken(), _renew(installation, controller))


def _standing(controller: Controller, installation: Installation) -> bytes:
    """What a control plane itself does not know, in Prometheus' text format."""
    registry = CollectorRegistry()
    version = Gauge(
        "meshmark_controlplane_policies_version", "Version of the store that is configuration.", registry=registry
    )
    version.set(controller.taken)
    members = Gauge("meshmark_controlplane_members", "Members with a configuration.", registry=registry)
    members.set(len(installation.names))
    return generate_latest(registry)


async def _renew(installation: Installation, controller: Controller) -> None:
    while True:
        await asyncio.sleep(RENEW_AFTER.total_seconds())
        controller.push(installation.renew())


def _machine(written: str) -> tuple[str, str]:
    member, _, address = written.partition("=")
    try:
        ip_address(address)
    except ValueError:
        raise UsageError(
            f"{written!r} says of no member where its machine is",
            next_step="write --machine MEMBER=ADDRESS with an IP address",
        ) from None
    return member, address
