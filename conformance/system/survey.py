"""What a host can be reached at from another one: found by trying, not by reading a configuration.

Invariant: an attempt that could not be made at all is an error, never an address that "does not answer".
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from conformance.system.namespaces import NetworkNamespace, connect_from

__all__ = ["Answer", "Listening", "listening", "survey"]

AT_ONCE = 256
"""Attempts under way at the same time, each of which is an open file."""
LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it (proc(5))."""
NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM})


class Answer(StrEnum):
    """What became of an attempt to connect."""

    OPEN = "open"
    """Somebody accepted the connection."""
    REFUSED = "refused"
    """The host answered that nobody listens there."""
    UNREACHABLE = "unreachable"
    """There is no way to the host."""
    SILENT = "silent"
    """Nothing came back in time."""


@dataclass(frozen=True, order=True)
class Listening:
    """A TCP socket that listens: its address as it is bound (`0.0.0.0` and `::` are all addresses) and its port."""

    address: str
    port: int


def listening(namespace: NetworkNamespace) -> frozenset[Listening]:
    """Every TCP socket that listens inside, whoever it belongs to: the kernel's own list.

    Raises:
        EnvironmentFault: the namespace is gone.

    """
    return namespace.within(_listening_here)


async def survey(
    peer: NetworkNamespace, targets: Iterable[tuple[str, int]], *, timeout: float
) -> Mapping[tuple[str, int], Answer]:
    """Try to connect from inside `peer` to every one of these addresses and ports.

    Args:
        peer: where the attempts come from.
        targets: IPv4 addresses with ports. The list bounds the work: 256 at once, each for `timeout` at most.
        timeout: seconds after which an attempt counts as silent. Refusals and missing routes are known at once, or
            after three seconds where only the neighbour's silence tells.

    Raises:
        OSError: an attempt could not be made, for instance for lack of open files.
        EnvironmentFault: the namespace is gone.

    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(target: tuple[str, int]) -> Answer:
        async with turn:
            return await _attempt(peer, *target, timeout)

    wanted = list(dict.fromkeys(targets))
    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


async def _attempt(peer: NetworkNamespace, host: str, port: int, timeout: float) -> Answer:
    try:
        (await connect_from(peer, host, port, timeout=timeout)).close()
    except TimeoutError:
        return Answer.SILENT
    except ConnectionError:
        return Answer.REFUSED
    except OSError as problem:
        if problem.errno in NO_WAY:
            return Answer.UNREACHABLE
        raise
    return Answer.OPEN


def _listening_here() -> frozenset[Listening]:
    # Not /proc/net, nor /proc/self/net: these are those of the first thread.
    return frozenset(
        found for name in ("tcp", "tcp6") for found in _parsed(Path("/proc/thread-self/net", name).read_text("ascii"))
    )


def _parsed(table: str) -> Iterable[Listening]:
    for line in table.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == LISTEN:
            address, _, port = local.partition(":")
            yield Listening(_address(bytes.fromhex(address)), int(port, 16))


def _address(written: bytes) -> str:
    """The kernel writes each word of 32 bits in the machine's order, which is little-endian wherever Envoy runs."""
    words = b"".join(written[start : start + 4][::-1] for start in range(0, len(written), 4))
    return str(IPv4Address(words) if len(words) == 4 else IPv6Address(words))
