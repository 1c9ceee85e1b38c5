"""Where a test runs the installed commands: a folder for its files, and one for what must be gone afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("meshmark")
REPOSITORY = Path(__file__).resolve().parent.parent
FIXTURES = REPOSITORY / "fixtures"
PATIENCE_S = 60.0
"""Far more than anything here takes: only a hang reaches it."""

CONTRACT = """\
openapi: 3.0.3
info: {title: Things, version: "1.0"}
servers: [{url: /}]
paths:
  /things:
    get:
      responses:
        "200":
          description: all of them
          content: {application/json: {schema: {type: array, items: {type: string}}}}
"""

THINGS = """\
import http.server, sys
class Things(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'["one"]'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Things).serve_forever()
"""
"""The smallest building block: it keeps `CONTRACT`, and starts at once."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both outputs."""
        return self.out + self.err


class Workplace:
    """Runs commands in `folder`. Whatever they make for the time of a run lies below `temporary`."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        self.environment = {**os.environ, "TMPDIR": str(temporary)}
        # The terminal that happens to run the tests must not change what the commands print.
        for name in ("PYTEST_ADDOPTS", "FORCE_COLOR", "COLUMNS"):
            self.environment.pop(name, None)

    # ------------------------------------------------------------------ files

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def run_file(self, name: str = "things", *, subject: Mapping[str, Any] | None = None, **rest: Any) -> str:
        """A run file for the smallest building block, changed as told; gives its name in the folder.

        A value of None takes a key away.
        """
        if not (self.folder / "contract.yaml").exists():
            self.write("contract.yaml", CONTRACT)
        self.write("things.py", THINGS)
        described = {
            "name": name,
            "vendor": "somebody",
            "version": "1.0",
            "contracts": ["contract.yaml"],
            "command": ["{python}", "things.py", "{port}"],
            **(subject or {}),
        }
        content = {"subject": _without_none(described), "runtime": "process", **rest}
        file = f"{name}.meshmark.yaml"
        self.write(file, json.dumps(_without_none(content), indent=1))
        return file

    def citizen_id(self, *faults: str, subject: Mapping[str, Any] | None = None, **rest: Any) -> str:
        """A run file for the smallest reference building block, with faults of its own."""
        script = "{bundled}/fixtures/building_blocks/citizen_id.py"
        started = ["{python}", script, "--port", "{port}", "--database", "{work_folder}/citizen-id.db"]
        described = {
            "contracts": ["{bundled}/specs/contracts/citizen-id.yaml"],
            "command": [*started, *(part for fault in faults for part in ("--fault", fault))],
            "ready": "/health",
            **(subject or {}),
        }
        return self.run_file("citizen-id", subject=described, **rest)

    def hanging(self, *faults: str, timeouts: Mapping[str, float] | None = None) -> str:
        """A run file for a building block of which one operation is never answered, and nobody gives up on it."""
        endless = {"op": "replace", "path": "/virtual_hosts/0/routes/0/route/timeout", "value": "0s"}
        once = {"op": "remove", "path": "/virtual_hosts/0/routes/0/route/retry_policy"}
        overlays = [
            {"type": "route", "name": "inbound/citizen-id", "patch": [endless]},
            {"type": "route", "name": "outbound/citizen-id", "patch": [endless, once]},
        ]
        limits = {"request": 600, "check": 600, **(timeouts or {})}
        return self.citizen_id("hangs", *faults, timeouts=limits, overlays=overlays)

    def record(self, folder: str = "meshmark-report") -> dict[str, Any]:
        """The record that a run has written."""
        return json.loads((self.folder / folder / "record.json").read_text("utf-8"))

    # ------------------------------------------------------------------ commands

    def meshmark(self, *arguments: str | Path, **environment: str) -> Finished:
        """Run the installed command to its end. It never shows a stack trace, and leaves nothing behind."""
        finished = self.finish(self.start(*arguments, **environment))
        assert "Traceback" not in finished.said, finished.said
        assert self.left() == []
        return finished

    def meshmark_after(self, change: str, *arguments: str | Path) -> Finished:
        """Run the command to its end where this Python text, which befalls it as a machine would, was run before."""
        script = self.write("changed.py", f"{change}\nfrom conformance.cli.main import main\nmain()\n")
        return self.finish(self._start(sys.executable, script, *arguments))

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start the installed command."""
        return self._start(COMMAND, *arguments, **environment)

    def _start(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*map(str, command)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def finish(process: subprocess.Popen[str], patience: float = PATIENCE_S) -> Finished:
        """Wait for the end."""
        out, err = process.communicate(timeout=patience)
        return Finished(process.returncode, out, err)

    # ------------------------------------------------------------------ leftovers

    def left(self) -> list[str]:
        """What a run has left: processes, and files meant for its time only."""
        files = [str(path) for path in self.temporary.iterdir()]
        return [f"process {pid}: {line}" for pid, line in self.processes().items()] + files

    def processes(self) -> dict[int, str]:
        """The processes that live and have to do with a run here, with their command lines."""
        mark = str(self.temporary).encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    line = (entry / "cmdline").read_bytes()
                    concerned = mark in line or mark in (entry / "environ").read_bytes()
                except OSError:
                    continue  # gone, or somebody else's
                # A zombie has an empty command line.
                if concerned and line:
                    found[int(entry.name)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        return found


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def results(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The results of a record by check."""
    return {result["check"]: result for result in record["results"]}
