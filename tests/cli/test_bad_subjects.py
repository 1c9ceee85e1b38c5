"""Building blocks that do not start, do not answer or do not last: told in words, bounded in time, nothing left."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from workplace import THINGS, Workplace, results

SERVE = """\
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
"""
NEVER_READY = {
    "never listens": ("import time; time.sleep(600)", "does not accept a connection"),
    "hangs": (
        SERVE + "    kept = [connection, *globals().get('kept', [])]\n",
        "accepts connections, but GET / had no complete answer within",
    ),
    "closes connections": (
        SERVE + "    connection.recv(9999); connection.close()\n",
        "accepts connections, but closes them",
    ),
    "answers garbage": (
        SERVE
        + "    connection.recv(9999); connection.sendall(b'\\x00\\xff no HTTP\\r\\n\\r\\n'); connection.close()\n",
        "answers GET / with something that is not HTTP/1.1",
    ),
    "sends an endless body": (
        SERVE
        + "    connection.recv(9999); connection.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
        + "    try:\n        while True: connection.sendall(bytes(65536))\n    except OSError: pass\n",
        "answers GET / with 200, but its body does not end within 1024 KiB",
    ),
    "is never in order": (THINGS.replace("200", "503"), "answers GET / with 503"),
}


def certify(workplace: Workplace, script: str | None = None, **changes: Any):
    """A run of one cheap check on a building block that is this script."""
    if script is not None:
        workplace.write("subject.py", script)
        changes = {"command": ["{python}", "subject.py", "{port}"]} | changes
    file = workplace.run_file(subject=changes, timeouts={"subject_ready": 1})
    return workplace.meshmark("certify", file, "--only", "API-001")


@pytest.mark.parametrize("name", NEVER_READY)
def test_a_subject_that_does_not_get_ready_leaves_the_run_incomplete(name, workplace: Workplace):
    script, seen = NEVER_READY[name]
    finished = certify(workplace, script)
    record = workplace.record()
    assert finished.code == 4
    assert record["trouble"].startswith("http://127.0.0.1:")
    assert "building block things was not ready within 1 s" in record["trouble"]
    assert f"seen last: it {seen}" in record["trouble"]
    assert "next: start it by hand and look" in record["trouble"]
    assert record["outcome"] == "incomplete"
    assert {result["verdict"] for result in record["results"]} == {"not-run", "not-applicable"}
    assert "was not ready within 1 s" in finished.out


def test_a_subject_that_exits_at_once_is_told_with_its_last_words(workplace: Workplace):
    finished = certify(workplace, "import sys; sys.exit('the database cannot be opened')")
    trouble = workplace.record()["trouble"]
    assert finished.code == 4
    assert trouble.startswith("building block things exited with code 1 before it was ready")
    assert "the database cannot be opened" in trouble
    assert "the database cannot be opened" in finished.out


def test_a_subject_whose_own_port_is_taken_is_told_so(workplace: Workplace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ("127.0.0.1", taken.getsockname()[1])
        script = (
            f"import socket\ntry:\n    socket.create_server({address})\nexcept OSError as no:\n    raise SystemExit(no)"
        )
        finished = certify(workplace, script)
    trouble = workplace.record()["trouble"]
    assert finished.code == 4
    assert "Address already in use" in trouble
    assert "see that it listens on the port it is given by {port}" in trouble


def test_a_url_that_nobody_answers_is_told(workplace: Workplace):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        finished = certify(workplace, command=None, url=f"http://127.0.0.1:{port}/api")
    trouble = workplace.record()["trouble"]
    assert finished.code == 4
    assert trouble.startswith(f"http://127.0.0.1:{port}: building block things was not ready within 1 s")
    assert "seen last: it does not accept a connection" in trouble


def test_a_program_that_is_not_there_is_the_run_files_mistake(workplace: Workplace):
    finished = certify(workplace, command=["./no-such-program", "{port}"])
    trouble = workplace.record()["trouble"]
    assert finished.code == 2
    assert trouble.startswith("./no-such-program: building block things could not be started: No such file")
    assert "next: mend `command:` in the run file" in trouble


def test_a_companion_that_does_not_start_is_told_by_its_name(workplace: Workplace):
    companion = {"name": "helper", "command": ["{python}", "-c", "raise SystemExit('no helper today')"]}
    finished = workplace.meshmark("certify", workplace.run_file(companions=[companion]), "--only", "API-001")
    assert finished.code == 4
    assert workplace.record()["trouble"].startswith("building block helper exited with code 1 before it was ready")


def test_a_subject_that_dies_in_the_middle_fails_its_check_and_the_others_go_on(workplace: Workplace):
    dies_later = THINGS.replace(
        "        body =", "        import os; self.path == '/things' and os._exit(7)\n        body ="
    )
    workplace.write("subject.py", dies_later)
    file = workplace.run_file(subject={"command": ["{python}", "subject.py", "{port}"]})
    finished = workplace.meshmark("certify", file, "--only", "ROUTE-001,API-001,API-002")
    record = workplace.record()
    found = results(record)
    assert finished.code == 1
    assert record["trouble"] == ""
    assert (found["API-002"]["verdict"], found["API-002"]["reason"]) == ("fail", "operation-unanswered")
    assert "exited with code 7" in found["API-002"]["seen"]
    assert found["ROUTE-001"]["verdict"] == found["API-001"]["verdict"] == "pass"


@pytest.mark.parametrize("fault", ["hangs", "closes-connection", "garbage", "endless-body"])
def test_a_subject_that_misbehaves_once_it_is_ready_fails_for_that_reason(fault, workplace: Workplace):
    file = workplace.citizen_id(fault, timeouts={"request": 1})
    finished = workplace.meshmark("certify", file, "--only", "API-002")
    record = workplace.record()
    found = results(record)["API-002"]
    assert finished.code == 1
    assert (found["verdict"], found["reason"]) == ("fail", "operation-unanswered")
    assert found["seen"].startswith("GET /v1/persons: ")
    assert record["outcome"] == "not-conformant"
