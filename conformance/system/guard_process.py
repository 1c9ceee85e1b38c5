"""The helper process of `guard`: standard library only, so that it starts fast and depends on next to nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

LAST_BREATH_S = 1.0
SWEEPS = 50
BETWEEN_SWEEPS_S = 0.02
NAMED_NAMESPACES = Path("/run/netns")


def _end_group(group: str) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(int(group), signal.SIGKILL)


def _delete_folder(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_containers(label_and_engine: str) -> None:
    import docker  # noqa: PLC0415 -- only when containers are left over

    label, engine = label_and_engine.split(" ")
    client = docker.DockerClient(base_url=engine)
    for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        with suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


def _remove_namespaces(prefix_and_program: str) -> None:
    prefix, program = prefix_and_program.split(" ", 1)
    for file in NAMED_NAMESPACES.glob(f"{prefix}*"):
        # Also of programs that have washed the marker off: nobody leaves a network so easily.
        _end_all(partial(_is_in, file.stat()))
        subprocess.run([program, "netns", "delete", file.name], check=False, capture_output=True)


def _end_all(wanted: Callable[[int], bool]) -> None:
    """End every such process, and those that it starts meanwhile."""
    for _ in range(SWEEPS):
        found = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if wanted(pid)]  # noqa: PTH208
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(BETWEEN_SWEEPS_S)


def _is_in(namespace: os.stat_result, pid: int) -> bool:
    try:
        return os.path.samestat(Path(f"/proc/{pid}/ns/net").stat(), namespace)
    except OSError:
        return False


def _has(marker: bytes, pid: int) -> bool:
    try:
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        # Gone, or somebody else's.
        return False


CLEAN_UP = {
    "group": _end_group,
    "containers": _remove_containers,
    "namespaces": _remove_namespaces,
    "folder": _delete_folder,
}


def _clean_up(left: dict[str, set[str]], marker: bytes) -> None:
    """Processes first, folders last."""
    _end_all(partial(_has, marker))
    for kind, clean_up in CLEAN_UP.items():
        for what in left[kind]:
            try:
                clean_up(what)
            except Exception as problem:  # noqa: BLE001 -- one leftover must not save the others
                sys.stderr.write(f"guard: {kind} {what}: {problem}\n")


def main(marker: bytes) -> None:
    """Remember what is protected until the runner's end of the pipe closes; then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    left: dict[str, set[str]] = {kind: set() for kind in CLEAN_UP}
    farewell = False
    for line in sys.stdin:
        verb, _, rest = line.rstrip("\n").partition(" ")
        kind, _, what = rest.partition(" ")
        if verb == "protect":
            left[kind].add(what)
        elif verb == "release":
            left[kind].discard(what)
        else:
            farewell = True
    _clean_up(left, marker)
    if not farewell:
        # What the runner asked for with its last breath, a program or a container, appears a moment later.
        time.sleep(LAST_BREATH_S)
        _clean_up(left, marker)


if __name__ == "__main__":
    main(sys.argv[1].encode())
