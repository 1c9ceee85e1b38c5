"""An Envoy that is missing, is none, is too old or does not last; a container engine that is not there."""

from __future__ import annotations

import os
import signal
import stat

import pytest
from workplace import Workplace, results

from conformance.system.deadlines import until

PRETENDERS = {
    "nothing": ("exit 0", "it does not answer `--version` as an Envoy does"),
    "another program": ("echo GNU bash, version 5.2", "it does not answer `--version` as an Envoy does"),
    "a wrong version": ("echo envoy  version: new/and/shiny", "it does not answer `--version` as an Envoy does"),
    "too old": ("echo envoy  version: 0123abcd/1.20.0/Clean/RELEASE/BoringSSL", "Envoy 1.20.0 is too old"),
}


def certify(workplace: Workplace, *options: str, **environment: str):
    """A run of one cheap check with these options."""
    return workplace.meshmark("certify", workplace.run_file(), "--only", "API-001", *options, **environment)


@pytest.mark.parametrize("pretender", PRETENDERS)
def test_a_program_that_is_no_usable_envoy_is_refused(pretender, workplace: Workplace):
    script, said = PRETENDERS[pretender]
    program = workplace.write("envoy", f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    finished = certify(workplace, "--envoy", "./envoy", XDG_CACHE_HOME=str(workplace.folder / "cache"))
    trouble = workplace.record()["trouble"]
    assert finished.code == 2
    assert trouble.startswith(f"{program}: ")
    assert said in trouble
    assert said in finished.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("./nowhere/envoy", "--envoy ./nowhere/envoy: there is no such file"),
        ("1.20.0", "--envoy: Envoy 1.20.0 is too old"),
        ("1.40", "--envoy 1.40: not a whole version"),
        ("some/image:tag", "some/image:tag is no file and no version"),
    ],
)
def test_an_envoy_that_cannot_be_is_refused(given, said, workplace: Workplace):
    finished = certify(workplace, "--envoy", given)
    assert finished.code == 2
    assert said in workplace.record()["trouble"]
    assert said in finished.out


def test_an_envoy_that_is_no_program_is_refused(workplace: Workplace):
    workplace.write("envoy", "only text")
    finished = certify(workplace, "--envoy", "./envoy")
    assert finished.code == 2
    assert "next: make it executable: chmod +x" in workplace.record()["trouble"]


def test_containers_without_an_engine_are_the_machines_fault(workplace: Workplace):
    nowhere = f"unix://{workplace.folder}/no-engine.sock"
    finished = certify(workplace, "--runtime", "container", DOCKER_HOST=nowhere)
    record = workplace.record()
    assert finished.code == 3
    assert record["outcome"] == "incomplete"
    assert "\n  next: " in record["trouble"]


def test_without_an_engine_processes_are_used_and_the_record_says_why(workplace: Workplace):
    nowhere = f"unix://{workplace.folder}/no-engine.sock"
    finished = certify(workplace, "--runtime", "auto", DOCKER_HOST=nowhere)
    environment = workplace.record()["environment"]
    assert finished.code == 4
    assert environment["runtime"] == "process"
    assert environment["runtime_reason"].startswith("processes, because of containers: ")


async def test_an_envoy_killed_in_the_middle_ends_the_run_at_once(workplace: Workplace):
    # The check that runs meanwhile waits for this building block for longer than the test has patience.
    file = workplace.hanging()
    process = workplace.start("certify", file, "--only", "API-001,API-002,ROUTE-001")

    await until(lambda: "API-001" in process.stdout.readline(), what="API-001 is done", timeout=60)
    (envoy,) = [
        pid
        for pid, line in workplace.processes().items()
        if "/citizen-id/bootstrap.json" in line and "envoy" in line.split()[0]
    ]
    os.kill(envoy, signal.SIGKILL)
    finished = workplace.finish(process)
    record = workplace.record()
    found = results(record)
    assert finished.code == 3
    assert record["trouble"].startswith("security server citizen-id was ended by signal 9\n")
    assert "read its last log lines above" in record["trouble"]
    assert "security server citizen-id was ended by signal 9" in finished.out
    assert record["outcome"] == "incomplete"
    assert found["API-001"]["verdict"] == "pass"
    assert found["API-002"]["verdict"] == "not-run"
    assert "ended by signal 9" in found["API-002"]["seen"]
    assert workplace.left() == []
