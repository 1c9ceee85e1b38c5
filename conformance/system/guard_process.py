"""The helper process of `guard`: standard library only, so that it starts fast and depends on nothing that may be
broken.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress

LAST_BREATH_S = 1.0


def _end_group(group: str) -> None:
    try:
        os.killpg(int(group), signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _delete_folder(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_containers(label: str) -> None:
    import docker  # noqa: PLC0415 -- only when containers are left over

    client = docker.from_env()
    # Twice: what the runner asked for with its last breath appears a moment later.
    for pause_s in (0.0, LAST_BREATH_S):
        time.sleep(pause_s)
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)


CLEAN_UP = {"group": _end_group, "containers": _remove_containers, "folder": _delete_folder}


def main() -> None:
    """Remember what is protected until the runner's end of the pipe closes; then clean up, folders last."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    left: dict[str, set[str]] = {kind: set() for kind in CLEAN_UP}
    for line in sys.stdin:
        verb, kind, what = line.rstrip("\n").split(" ", 2)
        if verb == "protect":
            left[kind].add(what)
        else:
            left[kind].discard(what)
    for kind, clean_up in CLEAN_UP.items():
        for what in left[kind]:
            try:
                clean_up(what)
            except Exception as problem:  # noqa: BLE001 -- one leftover must not save the others
                sys.stderr.write(f"guard: {kind} {what}: {problem}\n")


if __name__ == "__main__":
    main()
