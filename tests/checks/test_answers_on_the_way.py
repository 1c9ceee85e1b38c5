"""What a security server answers by itself is not the building block's answer; a silent building block is at fault."""

from __future__ import annotations

from typing import Any

import pytest
from workplace import Workplace, results

CONTRACT = """\
openapi: 3.0.3
info: {title: Names, version: "1.0"}
servers: [{url: /}]
paths:
  /names/{name}:
    get:
      parameters:
        - {in: path, name: name, required: true, schema: NAME}
      responses:
        "200": {description: it is known}
        "405": {description: only reading is possible}
"""

NAMES = """\
import http.server, sys
class Names(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ANSWER
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def do_POST(self):
        self.send_response(405)
        self.send_header("content-length", "0")
        self.end_headers()
    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_POST
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Names).serve_forever()
"""


def certified(workplace: Workplace, *, name: str, answer: str = "pass") -> dict[str, dict[str, Any]]:
    """The results of API-002 and API-003 for a building block with one operation."""
    workplace.write("contract.yaml", CONTRACT.replace("NAME", name))
    workplace.write("names.py", NAMES.replace("ANSWER", answer))
    subject = {"command": ["{python}", "names.py", "{port}"]}
    run_file = workplace.run_file("names", subject=subject, generated_input={"examples": 5})
    workplace.meshmark("certify", run_file, "--only", "API-002,API-003")
    return results(workplace.record())


def generated(result: dict[str, Any]) -> dict[str, Any]:
    (evidence,) = [each for each in result["evidence"] if each["name"] == "generated input"]
    (contract,) = evidence["observed"]["contracts"]
    return contract


def test_a_generated_request_that_the_security_server_refuses_is_counted_and_not_judged(workplace: Workplace) -> None:
    found = certified(workplace, name="{type: string, enum: [plain, with/slash]}")
    assert (found["API-002"]["verdict"], found["API-003"]["verdict"]) == ("pass", "pass")
    (unjudged,) = generated(found["API-003"])["unjudged"]
    assert unjudged.startswith("GET /names/{name}: refused on the way with 400 (")


def test_an_honest_request_that_the_security_server_refuses_proves_nothing(workplace: Workplace) -> None:
    found = certified(workplace, name="{type: string, enum: [with/slash]}")
    assert (found["API-002"]["verdict"], found["API-002"]["reason"]) == ("inconclusive", "operation-unproven")
    assert "security server caller: - path_normalization_failed" in found["API-002"]["seen"]


@pytest.mark.parametrize("answer", ["self.close_connection = True; return", "self.wfile.write(b'what?'); return"])
def test_a_building_block_that_breaks_off_or_speaks_no_http_has_not_answered(workplace: Workplace, answer: str) -> None:
    found = certified(workplace, name="{type: string, enum: [plain]}", answer=f'if self.path != "/": {answer}')
    assert (found["API-002"]["verdict"], found["API-002"]["reason"]) == ("fail", "operation-unanswered")
    assert (found["API-003"]["verdict"], found["API-003"]["reason"]) == ("fail", "unanswered")
    assert {failure["kind"] for failure in generated(found["API-003"])["failures"]} == {"no-answer"}
