"""Control planes and proxies as programs: ours, go-control-plane, and a load client that plays all the proxies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

__all__ = ["Ended", "Pair", "Workshop", "resources", "workshop"]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SOURCES = Path(__file__).with_name("go_control_plane")
ADS = {"ads": {}, "resource_api_version": "V3"}


def resources(services: int) -> dict[str, Any]:
    """What each proxy gets: a cluster with one endpoint for each service, and one route configuration."""
    names = [f"service-{number}" for number in range(services)]
    hosts = [
        {
            "name": name,
            "domains": [name],
            "routes": [
                {
                    "match": {"prefix": "/"},
                    "direct_response": {"status": 200, "body": {"inline_string": "0"}},
                }
            ],
        }
        for name in names
    ]
    return {
        "clusters": [
            {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS}, "connect_timeout": "1s"}
            for name in names
        ],
        "endpoints": [{"cluster_name": name, "endpoints": [_endpoint(port)]} for port, name in enumerate(names, 1)],
        "route": {"name": "routes", "virtual_hosts": hosts},
    }


def _endpoint(port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"lb_endpoints": [{"endpoint": {"address": address}}]}


class Ended(click.ClickException):
    """A program ended though it was still needed."""


class Program:
    """A program that is spoken to in lines."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # gRPC in Python writes a line for each stream that is cut off when the server ends.
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def heard(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Ended(f"{self._process.args} has ended")
        return line.strip()

    def told(self) -> str:
        """Its answer to an empty line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.heard()

    def status(self, key: str) -> int:
        """A number of `/proc/PID/status`: kilobytes of memory."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))

    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def end(self) -> None:
        """End its input, and then itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True)
class Pair:
    """A control plane with all its proxies. `served_s`: until each proxy had everything."""

    server: Program
    client: Program
    served_s: float

    def change_s(self) -> float:
        """One change that concerns all proxies: seconds until the last acknowledgement."""
        return float(self.server.told())


class Workshop:
    """Builds the programs, and starts them on unix sockets in its folder."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._folder = folder
        self._exits = exits
        self._count = 0
        go = shutil.which("go")
        if go is None:
            raise click.ClickException("the peer and the load client are written in Go, and `go` is not installed")
        subprocess.run([go, "build", "-o", f"{folder}/", "./..."], cwd=SOURCES, check=True)

    def pair(self, which: str, *, proxies: int, services: int, dialect: str) -> Pair:
        """`which` is `ours`, `theirs`, `floor` or `naive`; `dialect` is `whole` or `delta`."""
        self._count += 1
        socket = self._folder / f"{self._count}.sock"
        file = self._folder / f"{self._count}.json"
        file.write_text(json.dumps(resources(services)), "utf-8")
        modules = {"ours": "xds_server", "floor": "xds_floor", "naive": "xds_floor"}
        module = f"tests.bench.{modules.get(which)}"
        command = (sys.executable, "-m", module) if which in modules else (self._folder / "server",)
        server = Program(*command, socket, str(proxies), file, which)
        self._exits.callback(server.end)
        assert server.heard() == "ready"
        client = Program(self._folder / "client", socket, str(proxies), dialect, file)
        self._exits.callback(client.end)
        return Pair(server, client, float(client.heard()))


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Everything that it starts ends with the block."""
    with tempfile.TemporaryDirectory(prefix="mm-") as folder, ExitStack() as exits:
        yield Workshop(Path(folder), exits)
