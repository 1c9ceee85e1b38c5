"""Ports for programs that must be told theirs before they listen."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import SystemRandom

from conformance.model.errors import EnvironmentFault

__all__ = ["free_port"]

FIRST_PORT = 16384
MOST_PORTS_TRIED = 100
GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""First and last number of the ports that the kernel chooses from by itself."""


def free_port(host: str, new_socket: Callable[[], socket.socket]) -> int:
    """A port of `host` on which nobody listens yet, of those that the kernel gives only to who asks for their number.

    From now until the program listens others are given many ports, for listeners of their own and for connections; this
    one must not be among them.
    """
    for port in islice(_ports(), MOST_PORTS_TRIED):
        with new_socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise EnvironmentFault(f"no free port was found at {host}", next_step="see who listens there: `ss -ltn`")


@cache
def _ports() -> Iterator[int]:
    """Numbers of ports in an order of this process's own, so that it gives none twice in a row."""
    first_given_away = int(GIVEN_AWAY.read_text("ascii").split()[0])
    numbers = list(range(FIRST_PORT, first_given_away))
    SystemRandom().shuffle(numbers)
    # Where the kernel gives all of them away, it shall choose.
    return cycle(numbers or [0])
