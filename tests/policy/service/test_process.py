"""The service as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from policy_admin_parts import SETUP, contract

from conformance.openapi.fuzzing import FuzzSettings, fuzz
from conformance.pki.trust_domain import TrustDomain
from conformance.system.deadlines import until
from conformance.system.guard import Guard
from conformance.system.processes import ChildProcess

MODULE = [sys.executable, "-m", "conformance.cli", "serve", "policy-admin"]
IDENTITY = {"x-forwarded-client-cert": "URI=spiffe://mesh.test/security-server/caller"}
ROLES = ["auditor", "editor", "control-plane"]
GRANTS = [part for role in ROLES for part in ("--role", f"{role}=/security-server/caller")]

Start = Callable[..., Awaitable[tuple[ChildProcess, str]]]


@pytest.fixture
async def start(guard: Guard, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the process and wait until it says where it serves."""
    started: list[ChildProcess] = []

    async def start(*arguments: str) -> tuple[ChildProcess, str]:
        command = [*MODULE, "--store", str(tmp_path / "policies.db"), "--listen", "127.0.0.1:0", *arguments]
        process = await ChildProcess.start(
            command, name="policy-admin", guard=guard, environment={"PATH": os.environ["PATH"]}
        )
        started.append(process)
        said = await until(
            lambda: re.search(r"serves on (\S+)", process.tail()) or process.exited.done(),
            what="it serves",
            timeout=30,
            last_seen=process.tail,
        )
        assert isinstance(said, re.Match), process.tail()
        return process, said.group(1)

    yield start
    for process in started:
        process.kill()
        await process.stop()


async def test_it_serves_over_mutual_tls_and_keeps_its_policies(start: Start, tmp_path: Path) -> None:
    domain = TrustDomain()
    files = domain.issue("policy-admin").written_to(tmp_path / "own")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(domain.bundle_pem)
    editor = domain.issue("operator/editor")
    arguments = ["--certificate", str(files.certificate_chain), "--key", str(files.private_key)]
    arguments += ["--authorities", str(roots), "--role", f"editor={editor.identity}"]
    for version in (1, 2):
        process, url = await start(*arguments)
        async with httpx.AsyncClient(verify=editor.client_context(domain.bundle_pem), trust_env=False) as http:
            if version == 1:
                assert (await http.post(f"{url}/v1/changes", json=SETUP)).status_code == 200
            assert (await http.get(f"{url}/v1/policies")).json()["version"] == 1
        os.kill(process.pid, signal.SIGTERM)
        assert await process.exited == 0
        assert '"event": "change"' in process.tail() or version == 2
        assert "Traceback" not in process.tail()


async def test_sigterm_lets_what_is_under_way_end(start: Start) -> None:
    process, url = await start("--behind-security-server", *GRANTS)
    async with httpx.AsyncClient(base_url=url, headers=IDENTITY, trust_env=False, timeout=20) as http:
        polling = asyncio.create_task(http.get("/v1/changes", params={"after": 0, "wait": 10}))
        async with httpx.AsyncClient(base_url=url, headers=IDENTITY, trust_env=False) as other:
            while "policy_admin_requests_in_progress 2.0" not in (await other.get("/metrics")).text:
                pass
        os.kill(process.pid, signal.SIGTERM)
        answer = await polling
    assert answer.json() == {"version": 0, "put": [], "deleted": []}
    assert await process.exited == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no TLS without certificates"),
        (["--behind-security-server", "--certificate", "x.pem"], "no TLS here"),
        (["--behind-security-server", "--role", "king=/a"], "grants no role"),
        (["--behind-security-server", "--role", "editor=a"], "neither a SPIFFE id"),
        (["--behind-security-server", "--store", "mysql:x"], "no store of policies"),
        (["--certificate", "no.pem", "--key", "no.pem", "--authorities", "no.pem"], "cannot be read"),
        (["--behind-security-server", "--listen", "192.0.2.1:1"], "cannot listen"),
    ],
)
def test_a_mistake_in_the_arguments_is_said_with_the_next_step(tmp_path: Path, arguments: list[str], said: str) -> None:
    command = [*MODULE, "--store", "policies.db", "--listen", "127.0.0.1:0", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode in {2, 3}
    assert said in ended.stderr
    assert "next:" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_generated_input_finds_no_server_error_and_no_breach_of_the_contract(
    start: Start, guard: Guard, tmp_path: Path
) -> None:
    _, url = await start("--behind-security-server", "--longest-wait", "0.05", *GRANTS)
    settings = FuzzSettings(seed=7, max_examples=3, headers=IDENTITY, deadline_s=240, request_timeout_s=20)
    report = await fuzz(contract(), url, folder=tmp_path, guard=guard, settings=settings)
    assert report.ended == "complete", report.errors
    assert report.failures == ()
    assert set(report.operations_covered) == {operation.key for operation in contract().operations}
