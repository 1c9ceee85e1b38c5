"""The reference system on its own: what it says works, and nothing of it stays."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from running_mesh import RunningMesh, mesh_up, private_states, states, status
from workplace import FIXTURES, Workplace

from conformance.cli.running import claimed
from conformance.system.deadlines import until
from conformance.system.guard import Guard

POLICIES = FIXTURES / "policies"


def test_every_line_that_is_shown_does_what_it_says(reference: RunningMesh):
    shown = reference.shown()
    assert len(shown) == 16
    assert [(each.command, status(each.command)) for each in shown] == [(each.command, each.expect) for each in shown]
    assert {each.expect for each in shown} == {"200", "201", "403", "404", "refused"}


def test_lines_are_shown_for_whatever_is_started(workplace: Workplace):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        shown = running.shown()
        assert {"citizen-id" in each.command for each in shown} == {True, False}
        assert [(each.command, status(each.command)) for each in shown] == [
            (each.command, each.expect) for each in shown
        ]
        assert running.end().code == 0


@pytest.mark.parametrize(("topology", "lines"), [("sidecar", 16), ("external-gateway", 20)])
def test_every_line_does_what_it_says_in_each_topology(topology: str, lines: int, workplace: Workplace):
    with mesh_up(workplace, "--topology", topology) as running:
        shown = running.shown()
        assert len(shown) == lines
        assert [(each.command, status(each.command)) for each in shown] == [
            (each.command, each.expect) for each in shown
        ]
        assert httpx.get(f"{running.page}status.json").json()["mesh"]["topology"] == topology
        assert running.end().code == 0


def test_the_border_stays_open_in_the_next_mesh(workplace: Workplace):
    store = f"sqlite:{workplace.folder / 'policies.db'}"
    with mesh_up(workplace, "--store", store, "--topology", "external-gateway", "--services", "citizen-id") as first:
        assert first.end().code == 0
    with mesh_up(workplace, "--store", store, "--services", "citizen-id") as second:
        # The partner has another authority now, and the policies know it.
        (named,) = [each for each in second.shown() if "comes in at the border" in each.shows]
        assert status(named.command) == "200"
        assert second.end().code == 0


CLINIC = """\
kind: member
name: clinic
identity: spiffe://mesh.test/security-server/clinic
calls: [citizen-id]
"""


async def test_a_member_that_comes_gets_a_security_server_and_one_that_goes_loses_it(workplace: Workplace):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        before = (POLICIES / "citizen-id.yaml").read_text()
        workplace.write("new/clinic.yaml", CLINIC)
        workplace.write("new/citizen-id.yaml", before.replace("caller: birth-registry", "caller: clinic"))
        applied = running.policy("apply", workplace.folder / "new", "--wait", "--note", "a clinic joins")
        assert applied.code == 0, applied.said
        assert servers_of(running)["clinic"]["alive"]
        assert verified(f"http://{servers_of(running)['clinic']['outbound']}") == 200
        assert (running.certificates / "members" / "clinic.pem").exists()

        workplace.write("old/citizen-id.yaml", before)
        for step in (("apply", workplace.folder / "old"), ("delete", "member/clinic")):
            gone = running.policy(*step, "--wait", "--note", "the clinic leaves")
            assert gone.code == 0, gone.said
        assert "clinic" not in servers_of(running)
        await until(
            lambda: not any("clinic/bootstrap.json" in line for line in workplace.processes().values()),
            what="its process has ended",
            timeout=60,
        )
        assert running.end().code == 0
    assert workplace.left() == []


def servers_of(running: RunningMesh) -> dict[str, dict[str, Any]]:
    """The security servers as the live page knows them."""
    return {each["name"]: each for each in httpx.get(f"{running.page}status.json").json()["security_servers"]}


def verified(security_server: str) -> int:
    """The answer of citizen ID to a verification."""
    body = {"personId": "11111111-1111-4111-8111-111111111111"}
    return httpx.post(f"{security_server}/citizen-id/v1/verifications", json=body).status_code


def test_ready_is_said_before_anything_else_about_calling_it(reference: RunningMesh):
    assert [line for line in reference.lines if line.strip()][1] == "ready\n"


def test_certificates_are_private(reference: RunningMesh):
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in reference.certificates.rglob("*")}
    assert stat.S_IMODE(reference.certificates.parent.stat().st_mode) == 0o700
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file() and path.name != "authority.pem"} == {0o600}


def test_what_stands_about_it_is_private(reference: RunningMesh):
    (file,) = states(reference.workplace)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_second_one_of_the_same_name_is_refused(reference: RunningMesh):
    refused = reference.workplace.finish(reference.workplace.start("mesh", "up", "--runtime", "process"))
    assert refused.code == 2
    assert "a mesh with the name reference runs already" in refused.err
    assert reference.policy("status").code == 0


def test_policies_of_a_store_go_on_to_count_in_the_next_mesh(workplace: Workplace):
    store = f"sqlite:{workplace.folder / 'policies.db'}"
    closed = (POLICIES / "death-registry.yaml").read_text().replace("caller: registration-office", "caller: citizen-id")
    file = workplace.write("closed.yaml", closed)
    with mesh_up(workplace, "--store", store) as first:
        assert status_at_office(first, "/death-registry/v1/deaths") == 200
        changed = first.policy("apply", file, "--wait", "--note", "only citizens")
        assert changed.code == 0, changed.said
        version = int(json.loads(first.policy("status", "--format", "json").out)["version"])
        assert first.end(signal.SIGINT).code == 0
    assert states(workplace) == []
    assert workplace.left() == []

    with mesh_up(workplace, "--store", store) as second:
        entries = json.loads(second.policy("history", "--format", "json").out)
        # Building blocks have new ports in a new mesh, and that is all that is new.
        assert [each["version"] for each in entries] == list(range(version + 1, 0, -1))
        assert entries[1]["note"] == "only citizens"
        assert status_at_office(second, "/death-registry/v1/deaths") == 403
        assert second.end(signal.SIGTERM).code == 0
    assert states(workplace) == []
    assert workplace.left() == []


def status_at_office(running: RunningMesh, path: str) -> int:
    """The answer to a call by an application of the registration office."""
    servers = httpx.get(f"{running.page}status.json").json()["security_servers"]
    (outbound,) = [each["outbound"] for each in servers if each["name"] == "registration-office"]
    return httpx.get(f"http://{outbound}{path}").status_code


async def test_nothing_is_left_of_one_that_is_killed(workplace: Workplace):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        assert workplace.left() != []
        running.process.kill()
        running.process.wait()
        await until(lambda: workplace.left() == [], what="everything of it is gone", timeout=60)
        await until(lambda: states(workplace) == [], what="it is not announced any more", timeout=60)


def test_a_security_server_that_dies_ends_it_with_its_name(workplace: Workplace):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        bootstrap = "death-registry/bootstrap.json"
        (victim,) = [pid for pid, line in workplace.processes().items() if bootstrap in line and "envoy" in line]
        os.kill(victim, signal.SIGKILL)
        ended = workplace.finish(running.process)
    assert ended.code == 3
    assert "security server death-registry was ended by signal 9" in ended.err
    assert states(workplace) == []
    assert workplace.left() == []


def test_one_whose_output_nobody_reads_any_more_ends_as_it_should(workplace: Workplace):
    with mesh_up(workplace, "--services", "citizen-id") as running:
        running.process.stdout.close()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=60) == 0
    assert workplace.left() == []


def test_one_that_is_interrupted_while_it_starts_leaves_nothing(workplace: Workplace):
    process = private_states(workplace).start("mesh", "up", "--runtime", "process")
    assert process.stdout.readline().startswith("starting")
    process.send_signal(signal.SIGTERM)
    finished = workplace.finish(process)
    assert finished.code == 130
    assert "Traceback" not in finished.said
    assert "ready" not in finished.out
    assert states(workplace) == []
    assert workplace.left() == []


class Things(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_policies_and_building_blocks_can_be_somebody_elses(workplace: Workplace):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Things)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    members = [{"kind": "member", "name": name, "identity": f"spiffe://agency.example/{name}"} for name in ("a", "b")]
    members[0] |= {"calls": ["things"]}
    service = {
        "kind": "service",
        "name": "things",
        "provider": "b",
        "endpoints": [{"host": "127.0.0.1", "port": server.server_port}],
        "access": [{"caller": "a"}],
    }
    for document in (*members, service):
        workplace.write(f"mine/{document['name']}.json", json.dumps(document))
    with mesh_up(workplace, "--policies", "mine", "--name", "mine", "--port", "0") as running:
        servers = httpx.get(f"{running.page}status.json").json()["security_servers"]
        (outbound,) = [each["outbound"] for each in servers if each["name"] == "a"]
        assert httpx.get(f"http://{outbound}/things/").status_code == 200
        assert [status(each.command) for each in running.shown()] == [each.expect for each in running.shown()]
        assert "things" in running.policy("get", "--mesh", "mine").out
        assert running.end().code == 0
    server.shutdown()
    server.server_close()
    assert workplace.left() == []


# ---------------------------------------------------------------------- refusals


@pytest.fixture
def refused(workplace: Workplace, monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., str]) -> Callable[..., str]:
    """What `mesh up` says on refusing these arguments."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", private_states(workplace).environment["XDG_RUNTIME_DIR"])

    def up(*arguments: str, code: int = 2) -> str:
        said = refusal("mesh", "up", "--runtime", "process", *arguments, code=code)
        assert states(workplace) == []
        return said

    return up


def test_unknown_building_blocks_are_refused(refused: Callable[..., str]):
    said = refused("--services", "citizen-id,nobody")
    assert "there is no reference building block 'nobody'" in said
    assert "patient-registry" in said


def test_building_blocks_without_a_place_in_the_policies_are_refused(workplace: Workplace, refused: Callable[..., str]):
    workplace.write("one/member.yaml", "{kind: member, name: a, identity: 'spiffe://agency.example/a'}")
    assert "the policies have no place for citizen-id" in refused("--policies", "one", "--services", "citizen-id")


def test_bad_policies_are_refused_with_their_place(workplace: Workplace, refused: Callable[..., str]):
    workplace.write("bad/one.yaml", "kind: member\nname: a\nidentity: spiffe://agency.example/a\ncalls: [nothing]\n")
    assert "bad/one.yaml:4:9: member/a /calls/0" in refused("--policies", "bad")
    workplace.write("bad/two.yaml", "kind: member\nnaem: b\n")
    assert "bad/two.yaml:2:1" in refused("--policies", "bad")


def test_policies_without_members_are_refused(workplace: Workplace, refused: Callable[..., str]):
    workplace.write("none.yaml", "kind: mesh\n")
    assert "the policies name no member" in refused("--policies", "none.yaml")


def test_members_of_several_trust_domains_are_refused(workplace: Workplace, refused: Callable[..., str]):
    one, two = (f"{{kind: member, name: {name}, identity: 'spiffe://{name}.example/a'}}\n" for name in "ab")
    workplace.write("two.yaml", f"{one}---\n{two}")
    assert "members of a mesh belong to one trust domain" in refused("--policies", "two.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "No Name"], "cannot be the name of a mesh"),
        (["--store", "ftp://somewhere"], "this names no store of policies"),
        (["--policies", "nowhere"], "nowhere: policies cannot be read: No such file or directory"),
        (["--envoy", "./nowhere"], "there is no such file"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: list[str], said: str, refused: Callable[..., str]):
    assert said in refused(*arguments)


def test_a_port_that_is_taken_is_named_and_nothing_is_left(workplace: Workplace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("mesh", "up", "--runtime", "process", "--services", "citizen-id", "--port", str(port))
        finished = private_states(workplace).finish(workplace.start(*arguments))
    assert finished.code == 3
    assert f"the live page cannot listen on 127.0.0.1:{port}" in finished.err
    assert states(workplace) == []
    assert workplace.left() == []


def test_policies_are_refused_for_a_store_that_has_some(workplace: Workplace, refused: Callable[..., str]):
    with mesh_up(workplace, "--store", "sqlite:kept.db", "--services", "citizen-id") as running:
        assert running.end().code == 0
    assert "the store holds policies already" in refused("--store", "sqlite:kept.db", "--policies", str(POLICIES))


def test_a_folder_that_others_may_write_is_not_used(workplace: Workplace, refused: Callable[..., str]):
    shared = workplace.folder / "states" / "meshmark" / "meshes"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    assert "others than you can read or write this" in refused(code=3)


def test_a_name_is_free_again_after_its_mesh_was_killed_with_its_guard(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", private_states(workplace).environment["XDG_RUNTIME_DIR"])
    left = workplace.folder / "states" / "meshmark" / "meshes" / "reference"
    left.mkdir(parents=True, mode=0o700)
    state = left / "mesh.json"
    state.touch(mode=0o600)
    # Nobody has process 1 with such a start; the number of a process alone would prove nothing.
    state.write_text(json.dumps({"name": "reference", "pid": 1, "started": -1}))
    guard = Guard()
    try:
        with claimed("reference", guard):
            assert json.loads(state.read_text())["pid"] != 1
    finally:
        guard.close()
    assert not left.exists()
