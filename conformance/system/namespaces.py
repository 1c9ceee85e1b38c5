"""Network namespaces: running programs in one, and calling from inside of one.

Invariants: only a thread made for the purpose, which ends at once, ever enters a namespace, so that the runner itself
and its pools stay where they are; a socket belongs for ever to the namespace in which it was made, so everything after
that is ordinary work of the event loop; a program that was put into a namespace cannot leave it or change its rules.

Sources: namespaces(7), setns(2), network_namespaces(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from conformance.model.errors import EnvironmentFault
from conformance.system.deadlines import time_limit

__all__ = ["NetworkNamespace", "connect_from", "listening_socket", "system_program", "tcp_socket", "why_unavailable"]

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
NEEDED_PROGRAMS = {"ip": "iproute2", "nsenter": "util-linux", "setpriv": "util-linux"}
"""With the Debian package that each comes from."""
NEEDED_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
"""Their numbers, as in linux/capability.h."""
ESCAPES = ("sys_admin", "net_admin", "net_raw", "sys_ptrace")
"""What a program would need to leave its namespace, to change its routes or to speak as somebody else."""
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
"""Not all of these are on the PATH of every root."""


@dataclass(frozen=True)
class NetworkNamespace:
    """A network of its own: addresses, routes, ports and loopback. Files and unix sockets are shared with everybody."""

    file: Path
    """The kernel's handle on it: a named one below /run/netns, or an open descriptor below /proc."""
    container: str | None = None
    """The engine's id of the container that it belongs to, which other containers may join."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs `arguments` inside, under the same process id."""
        dropped = ",".join(f"-{name}" for name in ESCAPES)
        return [
            *(system_program("nsenter"), f"--net={self.file}", "--"),
            *(system_program("setpriv"), f"--bounding-set={dropped}", "--"),
            *arguments,
        ]

    def within(self, work: Callable[[], T]) -> T:
        """Do some quick work inside, in a thread of its own, and give its result.

        Raises:
            EnvironmentFault: the namespace is gone, or may not be entered.

        """
        result: Future[T] = Future()
        thread = threading.Thread(target=self._run, args=(result, work), name=f"inside {self.file}")
        thread.start()
        thread.join()
        return result.result()

    def tcp_socket(self) -> socket.socket:
        """A TCP socket, not blocking and not connected, that lives inside."""
        return self.within(tcp_socket)

    def listener(self, host: str, port: int = 0) -> socket.socket:
        """A TCP socket that listens inside; for `asyncio.start_server(sock=...)` and its like. Port 0: any.

        Raises:
            EnvironmentFault: the address is not there, or the port is taken.

        """
        return listening_socket(self.tcp_socket, host, port)

    def _run(self, result: Future[T], work: Callable[[], T]) -> None:
        try:
            _enter(self.file)
            result.set_result(work())
        except Exception as problem:  # noqa: BLE001 -- whatever it is, it is raised where the work was asked for
            result.set_exception(problem)


async def connect_from(namespace: NetworkNamespace | None, host: str, port: int, *, timeout: float) -> socket.socket:
    """A TCP connection from inside a namespace, handed to this process; `asyncio.open_connection(sock=...)` takes it.

    Without a namespace it is one from the runner's own network.

    Raises:
        OSError: as from any connect: refused, unreachable; TimeoutError after `timeout` seconds.
        EnvironmentFault: the namespace is gone, or may not be entered.

    """
    made = namespace.tcp_socket() if namespace else tcp_socket()
    try:
        # As asyncio does for connections of its own: an answer must not wait for an acknowledgement.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with time_limit(timeout):
            await asyncio.get_running_loop().sock_connect(made, (host, port))
    except BaseException:
        made.close()
        raise
    return made


def listening_socket(make: Callable[[], socket.socket], host: str, port: int) -> socket.socket:
    """A TCP socket that listens, in whatever network `make` makes it. Port 0: any.

    Raises:
        EnvironmentFault: the address is not there, or the port is taken.

    """
    made = make()
    try:
        made.bind((host, port))
        made.listen()
    except OSError as problem:
        made.close()
        raise EnvironmentFault(
            f"cannot listen: {problem.strerror}",
            where=f"{host}:{port}",
            next_step="choose an address of that host and a free port",
        ) from problem
    return made


def system_program(name: str) -> str:
    """The path of a system program, wherever an ordinary system keeps it; its bare name if it is nowhere."""
    return shutil.which(name, path=os.pathsep.join(SYSTEM_FOLDERS)) or name


def why_unavailable() -> str | None:
    """Why this process cannot use network namespaces, in words for a skipped test or for `doctor`; None: it can."""
    for program, package in NEEDED_PROGRAMS.items():
        if system_program(program) == program:
            return f"the program `{program}` is missing (Debian package {package})"
    try:
        status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    except OSError:
        return "network namespaces are a thing of Linux"
    effective = int(status["CapEff"], 16)
    missing = [name for name, number in NEEDED_CAPABILITIES.items() if not effective >> number & 1]
    return f"{' and '.join(missing)} missing: only root has that by default" if missing else None


def tcp_socket() -> socket.socket:
    """A TCP socket, not blocking and not connected, in the runner's own network."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setblocking(False)
    return made


def _enter(file: Path) -> None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
    except OSError as problem:
        raise EnvironmentFault(
            f"a network namespace cannot be entered: {problem.strerror}",
            where=str(file),
            next_step="run as root; if you do, see whether what it belonged to has ended",
        ) from problem
