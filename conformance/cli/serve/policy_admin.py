"""`meshmark serve policy-admin`: where policies are changed, by mutual TLS and role.

Its log on standard error is one JSON object a line.
"""

from __future__ import annotations

import logging
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import click

from conformance.cli.serve.life import run, say, until_told
from conformance.cli.serve.options import (
    TLS_FILES,
    Address,
    address_option,
    store_option,
    store_url,
    tls_files,
    tls_options,
)
from conformance.model.errors import UsageError
from conformance.policy.service import PolicyAdminService, Role
from conformance.policy.service.observing import LOGGER
from conformance.policy.store.opening import open_store

__all__ = ["command"]


@click.command(name="policy-admin")
@address_option("--listen", required=True, help="Where it serves (HTTPS); the host is an IP address, port 0: any.")
@tls_options(required=False)
@click.option(
    "--behind-security-server",
    is_flag=True,
    help="Plain HTTP; the caller is who `x-forwarded-client-cert` says, so nobody else may reach this port.",
)
@store_option
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE=IDENTITY",
    help=f"Grant {', '.join(Role)} to a SPIFFE id (repeatable). A path alone, such as /security-server/caller, counts "
    "in every trust domain that is accepted: only safe where there is exactly one.",
)
@click.option(
    "--longest-wait",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Long polls last no longer; keep it below the timeouts of proxies in front.",
)
def command(
    listen: Address,
    certificate: Path | None,
    key: Path | None,
    authorities: Path | None,
    behind_security_server: bool,
    store: str | None,
    roles: tuple[str, ...],
    longest_wait: float,
) -> int:
    """The policy admin service. Everybody with a certificate may read the directory; the rest is granted by role."""
    if not behind_security_server:
        tls = tls_files(certificate, key, authorities).server_context()
    elif any((certificate, key, authorities)):
        raise UsageError(
            "behind a security server there is no TLS here",
            next_step=f"leave out {TLS_FILES}, or --behind-security-server",
        )
    else:
        tls = None
    return run(_serve(store_url(store), _granted(roles), tls, listen, longest_wait))


async def _serve(
    store: str, roles: dict[str, set[Role]], tls: ssl.SSLContext | None, listen: Address, longest_wait: float
) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    own_log = logging.getLogger(LOGGER)
    own_log.addHandler(handler)
    own_log.setLevel(logging.INFO)
    own_log.propagate = False
    async with AsyncExitStack() as exits:
        kept = await open_store(store)
        exits.push_async_callback(kept.close)
        service = PolicyAdminService(
            kept, roles=roles, tls=tls, host=listen.host, port=listen.port, longest_wait_s=longest_wait
        )
        await service.start()
        exits.push_async_callback(service.stop)
        say(f"policy-admin serves on {service.url}")
        await until_told()


def _granted(roles: tuple[str, ...]) -> dict[str, set[Role]]:
    granted: dict[str, set[Role]] = {}
    for each in roles:
        role, _, identity = each.partition("=")
        if role not in list(Role):
            raise UsageError(f"{each!r} grants no role", next_step=f"write ROLE=IDENTITY with one of {', '.join(Role)}")
        granted.setdefault(identity, set()).add(Role(role))
    return granted
