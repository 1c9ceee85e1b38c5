"""The policy admin service as a process of its own.

It prints one line once it serves, and its log, one JSON object a line, to standard error. SIGTERM and SIGINT let what
is under way end, and exit with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from conformance.model.errors import MeshmarkError, UsageError
from conformance.policy.service.admin import HOST, PolicyAdminService
from conformance.policy.service.callers import Role
from conformance.policy.service.observing import LOGGER
from conformance.policy.store.opening import open_store

TLS_FILES = ("certificate", "key", "authorities")


def main() -> int:
    """Serve until told to stop; gives the exit code."""
    arguments = _parser().parse_args()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger(LOGGER).addHandler(handler)
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    try:
        asyncio.run(_serve(arguments))
    except MeshmarkError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tls = _tls(arguments)
    store = await open_store(arguments.store)
    try:
        service = PolicyAdminService(
            store,
            roles=_roles(arguments.role),
            tls=tls,
            host=arguments.host,
            port=arguments.port,
            longest_wait_s=arguments.longest_wait,
        )
        await service.start()
        sys.stdout.write(f"policy-admin serves on {service.url}\n")
        sys.stdout.flush()
        await stop.wait()
        await service.stop()
    finally:
        await store.close()


def _roles(granted: list[str]) -> dict[str, set[Role]]:
    roles: dict[str, set[Role]] = {}
    for each in granted:
        role, _, identity = each.partition("=")
        if role not in list(Role):
            raise UsageError(f"{each!r} grants no role", next_step=f"write ROLE=IDENTITY with one of {', '.join(Role)}")
        roles.setdefault(identity, set()).add(Role(role))
    return roles


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    files = [getattr(arguments, name) for name in TLS_FILES]
    named = ", ".join(f"--{name}" for name in TLS_FILES)
    if arguments.behind_security_server:
        if any(files):
            raise UsageError(
                "behind a security server there is no TLS here", next_step=f"leave out {named}, or --behind-..."
            )
        return None
    if not all(files):
        raise UsageError("there is no TLS without certificates", next_step=f"name {named}")
    certificate, key, authorities = files
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=authorities)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the certificates cannot be used: {error}", next_step=f"look at the files of {named}"
        ) from error
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance.policy.service", description=__doc__)
    parser.add_argument("--store", required=True, help="a file (PATH or sqlite:PATH), or postgresql://...")
    parser.add_argument("--host", default=HOST, help="IP address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="TCP port; 0 takes a free one")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE=IDENTITY",
        help=f"grant {', '.join(Role)} to a SPIFFE id (repeatable). A path alone, such as /security-server/caller, "
        "counts in every trust domain that is accepted: only safe where there is exactly one",
    )
    parser.add_argument("--certificate", type=Path, help="PEM: own certificate chain")
    parser.add_argument("--key", type=Path, help="PEM: its private key")
    parser.add_argument("--authorities", type=Path, help="PEM: roots of the callers' certificates")
    parser.add_argument(
        "--behind-security-server",
        action="store_true",
        help="plain HTTP; the caller is who `x-forwarded-client-cert` says, so nobody else may reach this port",
    )
    parser.add_argument(
        "--longest-wait",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="long polls last no longer (default: %(default)s); keep it below the timeouts of proxies in front",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
