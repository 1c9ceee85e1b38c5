"""A small network of hosts with addresses of their own, as between machines: each host a network namespace.

    host --veth--+
    host --veth--+-- bridge, in a namespace of its own
    host --veth--+
      |
      +--veth-- host on a cable of its own, which is not plugged into the bridge

Invariants: nothing of it is in the machine's own network, so parallel networks may use the same addresses and nobody
outside is reached or disturbed; hosts do not forward; a host that was made with neighbours has a way to these and to
nobody else, and accepts nothing from anybody else (it has no route back, and drops what comes from where it has none),
whatever routes others may add; so it is with a host at the end of a cable, and nobody else answers there at the address
of the host at the other end; there is no IPv6 between hosts, by which a rule for IPv4 could be bypassed; everything is
gone with the run, even if the runner is killed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from conformance.model.errors import EnvironmentFault
from conformance.system.containers import Container
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace, system_program, why_unavailable
from conformance.system.wire import Wire

__all__ = ["NAMED_NAMESPACES", "Host", "Network"]

NAMED_NAMESPACES = Path("/run/netns")
"""Where iproute2 keeps the names of namespaces."""
FIRST_ADDRESS = IPv4Address("10.99.0.1")
PREFIX_LENGTH = 16
FIRST_CABLE = IPv4Address("10.98.0.0")
CABLES = f"{FIRST_CABLE}/{PREFIX_LENGTH}"
INTERFACE = "eth0"
SYSTEM_SETTINGS = {
    # New namespaces may inherit what the machine has, and a machine with a container engine forwards.
    "/proc/sys/net/ipv4/ip_forward": "0",
    # What comes from where there is no way back is dropped (RFC 3704, strict).
    "/proc/sys/net/ipv4/conf/all/rp_filter": "1",
}


@dataclass(frozen=True)
class Host:
    """One host of a network."""

    name: str
    address: str
    """On the bridge; empty if it is not plugged in there."""
    namespace: NetworkNamespace
    cables: Mapping[str, str] = field(default_factory=dict)
    """Its own address on the cable to each of these hosts."""


class Network:
    """Hosts by name: `network["registry"].address`. Remove it at the end, after the programs in it have ended."""

    def __init__(
        self, hosts: Mapping[str, Host], prefix: str, guard: Guard, cables: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._hosts = dict(hosts)
        self._prefix = prefix
        self._cables = tuple(cables)
        self._guard = guard
        self._removed = False

    @classmethod
    async def create(
        cls,
        hosts: Iterable[str],
        *,
        guard: Guard,
        neighbours: Mapping[str, Sequence[str]] | None = None,
        cables: Sequence[tuple[str, str]] = (),
        unplugged: Collection[str] = (),
        pods: Mapping[str, Container] = MappingProxyType({}),
    ) -> Network:
        """Make the hosts.

        Args:
            hosts: their names.
            guard: removes the network, and ends the programs in it, should this runner die.
            neighbours: for each host that may not speak with all others, those that it may speak with.
            cables: pairs of hosts with a cable between them on which nobody else is.
            unplugged: hosts that are not plugged into the bridge.
            pods: for hosts that containers are to be put on, a container without a network (`NO_NETWORK`) that holds
                the host's. Whoever has started it stops it, after `remove`.

        Raises:
            EnvironmentFault: this process may not, or the kernel cannot.

        """
        why = why_unavailable()
        if why:
            raise EnvironmentFault(
                f"hosts with addresses of their own cannot be made: {why}",
                next_step="run as root on Linux with iproute2, or let all listen on loopback",
            )
        prefix = f"meshmark-{guard.run}-{uuid4().hex[:6]}-"
        at_ends: dict[str, dict[str, str]] = {}
        for number, (one, other) in enumerate(cables):
            at_ends.setdefault(one, {})[other] = str(FIRST_CABLE + 4 * number + 1)
            at_ends.setdefault(other, {})[one] = str(FIRST_CABLE + 4 * number + 2)
        made = {
            name: Host(
                name,
                "" if name in unplugged else str(FIRST_ADDRESS + number),
                NetworkNamespace(NAMED_NAMESPACES / f"{prefix}{number}", pods[name].id if name in pods else None),
                at_ends.get(name, {}),
            )
            for number, name in enumerate(hosts)
        }
        guard.protect("namespaces", _for_guard(prefix))
        network = cls(made, prefix, guard, cables)
        try:
            await network._make(neighbours or {}, {name: pod.pid for name, pod in pods.items()})
        except BaseException:
            await asyncio.shield(network.remove())
            raise
        return network

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    @property
    def hosts(self) -> Mapping[str, Host]:
        """All hosts by name."""
        return self._hosts

    @property
    def wire(self) -> Wire:
        """What everybody who is plugged in shares, to listen in on."""
        return Wire(NetworkNamespace(NAMED_NAMESPACES / self._switch))

    async def remove(self) -> None:
        """Take the network away. Programs that still run in it see their network end with them, not before."""
        if not self._removed:
            self._removed = True
            await self._ip([f"netns delete {name}" for name in _named(self._prefix)])
            self._guard.release("namespaces", _for_guard(self._prefix))

    @property
    def _switch(self) -> str:
        return f"{self._prefix}switch"

    async def _make(self, neighbours: Mapping[str, Sequence[str]], holders: Mapping[str, int]) -> None:
        switch = self._switch
        names = {host.name: host.namespace.file.name for host in self._hosts.values()}
        plugged = [names[host.name] for host in self if host.address]
        await self._ip(
            [
                f"netns add {switch}",
                *(
                    f"netns attach {name} {holders[host]}" if host in holders else f"netns add {name}"
                    for host, name in names.items()
                ),
                *(
                    f"link add {INTERFACE} netns {name} type veth peer name port{number} netns {switch}"
                    for number, name in enumerate(plugged)
                ),
                *(
                    f"link add cable{number} netns {names[one]} type veth peer name cable{number} netns {names[other]}"
                    for number, (one, other) in enumerate(self._cables)
                ),
            ]
        )
        await self._ip(
            [
                "link add lan type bridge",
                *(f"link set port{number} master lan addrgenmode none up" for number in range(len(plugged))),
                "link set lan addrgenmode none up",
            ],
            inside=switch,
        )
        await asyncio.gather(
            *(self._ip(self._settings(host, neighbours.get(host.name)), inside=names[host.name]) for host in self)
        )

    def _settings(self, host: Host, neighbours: Sequence[str] | None) -> list[str]:
        host.namespace.within(_apply_system_settings)
        commands = ["link set lo up"]
        if host.address:
            length = PREFIX_LENGTH if neighbours is None else 32
            commands += [
                f"address add {host.address}/{length} dev {INTERFACE}",
                # Without an IPv6 address, not even one of the link.
                f"link set {INTERFACE} addrgenmode none up",
                *(f"route add {self[name].address}/32 dev {INTERFACE}" for name in neighbours or ()),
            ]
        for number, ends in enumerate(self._cables):
            if host.name in ends:
                own = host.cables[ends[1] if host.name == ends[0] else ends[0]]
                commands += [f"address add {own}/30 dev cable{number}", f"link set cable{number} addrgenmode none up"]
        if host.address and host.cables:
            # By default a host answers at each of its addresses, whichever way a call comes in.
            local = "from all lookup local"
            commands += [
                f"rule add pref 1 iif {INTERFACE} to {CABLES} blackhole",
                f"rule add pref 2 {local}",
                f"rule del pref 0 {local}",
            ]
        return commands

    async def _ip(self, commands: Sequence[str], *, inside: str | None = None) -> None:
        """Run commands of iproute2, one after the other, in one process.

        Raises:
            EnvironmentFault: one of them failed; carries what it said.

        """
        where = ["-netns", inside] if inside else []
        process = await asyncio.create_subprocess_exec(
            *(system_program("ip"), *where, "-batch", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self._guard.marker},
        )
        try:
            said, _ = await process.communicate("\n".join(commands).encode())
        except asyncio.CancelledError:
            # What it has not made by now it must not make after the clean-up.
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise EnvironmentFault(
                "the operating system refuses a network of its own",
                detail=said.decode(errors="replace"),
                next_step="see whether this machine allows network namespaces and veth pairs; a container may not",
            )


def _apply_system_settings() -> None:
    for file, value in SYSTEM_SETTINGS.items():
        try:
            Path(file).write_text(value, "ascii")
        except OSError as problem:
            raise EnvironmentFault(
                f"a host's settings cannot be written: {problem.strerror}",
                where=file,
                next_step="run outside of a container, or in one that may write there",
            ) from problem


def _named(prefix: str) -> list[str]:
    """What is really there, which after a broken-off creation is less than was wanted."""
    return sorted(file.name for file in NAMED_NAMESPACES.glob(f"{prefix}*"))


def _for_guard(prefix: str) -> str:
    return f"{prefix} {system_program('ip')}"
