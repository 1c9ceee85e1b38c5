"""Ctrl-C in a pytest session: what was found so far is recorded, and nothing stays behind, with workers or without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from workplace import Workplace, results

from conformance.system.deadlines import until


def start_pytest(workplace: Workplace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "conformance.plugin.entry", *arguments],
        cwd=workplace.folder,
        env=workplace.environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A terminal sends Ctrl-C to all processes of its foreground group.
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "workers", [(), ("-p", "xdist", "-n", "2"), ("--meshmark-workers", "2")], ids=["alone", "xdist", "two workers"]
)
async def test_an_interrupted_session_is_recorded_and_leaves_nothing(workers, workplace: Workplace):
    file = workplace.hanging()
    process = start_pytest(workplace, *workers, "--meshmark-only", "API-001,API-002", file)

    def asked() -> bool:
        # The calls before the one that hangs are in the access log.
        logs = workplace.temporary.glob("meshmark-*/citizen-id/access.log")
        return any('"kind":"inbound"' in log.read_text().replace(" ", "") for log in logs)

    await until(asked, what="the check is calling the building block", timeout=60)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    record = workplace.record()
    assert process.returncode == 130, said
    assert record["interrupted"]
    assert record["outcome"] == "incomplete"
    assert results(record)["API-002"]["verdict"] == "not-run"
    await until(lambda: not workplace.left(), what="all is gone", timeout=60, last_seen=lambda: str(workplace.left()))


IMPATIENT = """\
import os, signal
from conformance.plugin import session
written = session.write_reports
def interrupted(*arguments):
    os.kill(os.getpid(), signal.{signal})
    return written(*arguments)
session.write_reports = interrupted
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["by the terminal", "by a CI service"])
def test_an_interrupt_while_the_record_is_written_loses_nothing(number: signal.Signals, workplace: Workplace):
    impatient = IMPATIENT.format(signal=number.name)
    finished = workplace.meshmark_after(impatient, "certify", workplace.run_file(), "--only", "API-001")
    record = workplace.record()
    assert finished.code == 130, finished.said
    assert not record["interrupted"]
    assert results(record)["API-001"]["verdict"] == "pass"
    assert {path.name for path in (workplace.folder / "meshmark-report").iterdir()} >= {"report.html", "junit.xml"}
    assert "meshmark-report/record.json" in finished.out
    assert workplace.left() == []
