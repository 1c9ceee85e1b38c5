"""Nothing outlives a runner that is killed with SIGKILL, at whatever moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from conformance.system.deadlines import until
from conformance.system.networks import NAMED_NAMESPACES

RUNNER = Path(__file__).with_name("runner_to_be_killed.py")
CHECKOUT = RUNNER.parent.parent.parent


@contextmanager
def runner(kind: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, str(RUNNER), kind]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.kill()


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    return json.loads(process.stdout.readline())


def mentioning(text: str) -> list[str]:
    """The command lines of all processes that live and mention `text`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                line = (process / "cmdline").read_text()
                found += [line] if text in line else []
    return found


@pytest.fixture(params=["process", "namespaces", "container"])
def kind(request) -> str:
    if request.param == "namespaces":
        request.getfixturevalue("network_namespaces")
    if request.param == "container":
        request.getfixturevalue("image")
    return request.param


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # A zombie waits for whoever adopted it; nothing of it runs any more.
    return state != "Z"


def left_of(made: dict[str, Any], engine: Any | None) -> list[str]:
    containers = (
        engine.containers.list(all=True, filters={"label": made["label"]}, ignore_removed=True) if engine else []
    )
    pids = (made["guard"], *made.get("pids", ()))
    return [
        *mentioning(made["folder"]),
        *map(str, NAMED_NAMESPACES.glob(f"*{made['run']}*")),
        *(f"container {container.id}" for container in containers),
        *(f"process {pid}" for pid in pids if lives(pid)),
        *([made["folder"]] if Path(made["folder"]).exists() else []),
    ]


async def nothing_is_left(made: dict[str, Any], engine: Any | None) -> None:
    await until(
        lambda: not left_of(made, engine),
        what="all is gone",
        timeout=20,
        last_seen=lambda: "\n".join(left_of(made, engine)),
    )


async def test_a_killed_runner_leaves_no_envoy_no_container_no_building_block_and_no_folder(kind, request):
    engine = request.getfixturevalue("engine") if kind == "container" else None
    with runner(kind) as process:
        made = said(process)
        made |= said(process)
        assert len(made["pids"]) == 2
        assert {f"process {pid}" for pid in made["pids"]} <= set(left_of(made, engine))
        process.kill()
        await nothing_is_left(made, engine)


@pytest.mark.parametrize("file", ["one", "one/bootstrap.json", "one/admin.sock"])
async def test_a_runner_killed_while_it_starts_leaves_nothing_either(kind, file, request):
    engine = request.getfixturevalue("engine") if kind == "container" else None
    with runner(kind) as process:
        made = said(process)
        await until(lambda: Path(made["folder"], file).exists(), what=f"{file} is there", timeout=20)
        process.kill()
        await nothing_is_left(made, engine)
