"""`meshmark serve authentication`: decides about each call that security servers ask it about, and keeps the limits."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import click

from conformance.authn.server import AuthenticationService
from conformance.cli.serve.life import GRACE_S, observed, run, say, until_told
from conformance.cli.serve.options import (
    FILE,
    Address,
    TlsFiles,
    address_option,
    store_option,
    store_url,
    tls_files,
    tls_options,
)
from conformance.model.errors import UsageError
from conformance.policy.client import PolicyAdminClient
from conformance.policy.store.opening import open_store
from conformance.protobuf.listen import TlsListen

__all__ = ["command"]


@click.command(name="authentication")
@address_option("--listen", required=True, help="Where security servers ask (gRPC); port 0: any.")
@tls_options(required=True)
@store_option
@click.option("--policies-from", metavar="URL", help="A policy admin service to follow instead of a store.")
@click.option(
    "--decision-log",
    type=FILE,
    default=Path("/dev/stdout"),
    show_default=True,
    metavar="FILE",
    help="Where a line of JSON is added for each decision.",
)
@address_option("--observe", default="127.0.0.1:0", show_default=True, help="Metrics and health, by plain HTTP.")
def command(
    listen: Address,
    certificate: Path,
    key: Path,
    authorities: Path,
    store: str | None,
    policies_from: str | None,
    decision_log: Path,
    observe: Address,
) -> int:
    """The authentication service. Without policies it refuses every call."""
    tls = tls_files(certificate, key, authorities)
    if policies_from and store:
        raise UsageError("policies come from one place only", next_step="name --policies-from or a store, not both")
    followed = policies_from or store_url(store)
    service = AuthenticationService(decision_log=decision_log)
    return run(_serve(service, followed, tls, listen, observe, by_service=bool(policies_from)))


async def _serve(
    service: AuthenticationService,
    followed: str,
    tls: TlsFiles,
    listen: Address,
    observe: Address,
    *,
    by_service: bool,
) -> None:
    async with AsyncExitStack() as exits:
        feed = PolicyAdminClient(followed, tls=tls.client_context()) if by_service else await open_store(followed)
        exits.push_async_callback(feed.close)
        newest = await feed.version()
        exits.push_async_callback(service.close, grace_s=GRACE_S)
        service.follow(feed)
        await service.at_version(newest)
        url = await exits.enter_async_context(observed(observe, service.metrics, lambda: service.version > 0))
        port = await service.start(TlsListen(*listen, tls.certificate, tls.key, tls.authorities))
        say(f"authentication serves on {Address(listen.host, port or 0)}, metrics on {url}/metrics")
        await until_told()
