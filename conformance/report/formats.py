"""The formats of a report, and how their files come to be: each whole or not at all.

Invariants: a file appears under its name only when it is complete and on the disk; an older report stays until then.
What people read speaks the chosen language; what programs read speaks that of the record, so that no program meets
another text because somebody chose a language. Format modules are imported when their format is asked for.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.report.language import RECORD_LANGUAGE, current, speaking
from conformance.report.material import Material

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "Format",
    "ensure_available",
    "ensure_writable",
    "file_stem",
    "write_file",
    "write_reports",
]


@dataclass(frozen=True)
class Format:
    """One way to show a record.

    Attributes:
        file_name: `{name}` stands for the subject.
        text: what it is for, as `--help` says it.
        function: what renders it: a module of this room, a colon, and a function from `Material` to bytes.
        spoken: whether people read it, so that it speaks the chosen language.

    """

    file_name: str
    text: str
    function: str
    spoken: bool = False

    @property
    def render(self) -> Callable[[Material], bytes]:
        """What renders it, imported now."""
        module, _, name = self.function.partition(":")
        found: Callable[[Material], bytes] = getattr(importlib.import_module(f"conformance.report.{module}"), name)
        return found if self.spoken else partial(_in_words_of_the_record, found)

    def of(self, material: Material) -> bytes:
        """The report of a record, in the language that is spoken."""
        key = self.function, current().code
        if key not in material.rendered:
            material.rendered[key] = self.render(material)
        return material.rendered[key]

    def path(self, material: Material, folder: Path) -> Path:
        """Where it is written."""
        return folder / self.file_name.format(name=file_stem(material.record["subject"]["name"]))


def _in_words_of_the_record(render: Callable[[Material], bytes], material: Material) -> bytes:
    with speaking(RECORD_LANGUAGE):
        return render(material)


FORMATS = {
    "json": Format(
        "record.json", "the record itself, from which every other format can be rendered", "record_file:render"
    ),
    "html": Format("report.html", "one page for people", "html:render", spoken=True),
    "junit": Format("junit.xml", "test results for CI services", "junit:render", spoken=True),
    "sarif": Format("results.sarif", "SARIF 2.1.0: fails at lines of the run file and the contract", "sarif:render"),
    "ctrf": Format("ctrf-report.json", "Common Test Report Format, for test dashboards", "ctrf:render"),
    "oscal-plan": Format("oscal-assessment-plan.json", "OSCAL 1.2.1 assessment plan", "oscal.plan:render"),
    "oscal-results": Format("oscal-assessment-results.json", "OSCAL 1.2.1 assessment results", "oscal.results:render"),
    "markdown": Format("summary.md", "a page for merge requests and CI summaries", "markdown:render", spoken=True),
    "cucumber": Format(
        "cucumber-messages.ndjson", "Cucumber messages, as GovStack's web application reads them", "cucumber:render"
    ),
    "govstack-form": Format(
        "govstack-form.json",
        "GovStack's compliance form: every REQUIRED, and the percentage of RECOMMENDED",
        "govstack_form:render",
    ),
    "govstack-form-levels": Format(
        "govstack-form-levels.json", "GovStack's older compliance form: levels 1 and 2", "govstack_form:render_levels"
    ),
    "gateway-api": Format(
        "conformance-report.yaml", "in the shape of the Gateway API's ConformanceReport", "gateway_report:render"
    ),
    "pdf": Format(
        "report.pdf", "pages for print and archive, tagged (PDF/UA-1); needs the extra pdf", "pdf:render", spoken=True
    ),
    "test-result": Format(
        "test-result.intoto.json", "in-toto Statement, Test Result, unsigned", "trust.statements:render_test_result"
    ),
    "svr": Format(
        "svr.intoto.json", "in-toto Statement, Simple Verification Result, unsigned", "trust.statements:render_svr"
    ),
    "bundle": Format(
        "{name}.meshmark.zip", "record, reports, contracts and evidence in one file", "bundle:render", spoken=True
    ),
}
"""By the name that `--format` takes. They are written in this order: the record first."""

DEFAULT_FORMATS = ("json", "html", "junit")
"""Those that are written unless others are asked for."""


def write_reports(material: Material, folder: Path, formats: Iterable[str]) -> dict[str, Path]:
    """Write a record in the formats asked for.

    Args:
        material: what to report.
        folder: created if it is not there. Files of the same names are replaced.
        formats: names out of `FORMATS`.

    Returns: the file of each format.

    Raises:
        UsageError: a format does not exist. Nothing is written.
        EnvironmentFault: the folder or a file cannot be written. No file is left half written.

    """
    wanted = set(formats)
    if unknown := sorted(wanted - FORMATS.keys()):
        raise UsageError(
            f"no report format is called {', '.join(map(repr, unknown))}", next_step=f"choose from {', '.join(FORMATS)}"
        )
    written = {}
    for name, form in FORMATS.items():
        if name in wanted:
            written[name] = form.path(material, folder)
            write_file(written[name], form.of(material))
    return written


def ensure_available(formats: Iterable[str]) -> None:
    """Import what renders these formats, so that a run does not learn at its end that something is missing.

    Raises:
        UsageError: a format needs an extra that is not installed.
        EnvironmentFault: a format needs a library that this machine does not have.

    """
    for name in formats:
        _ = FORMATS[name].render


def file_stem(name: str) -> str:
    """A subject's name, fit for the name of a file."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "subject"


def ensure_writable(folder: Path) -> None:
    """Make the folder and try it, so that a run does not learn at its end that nobody will read about it.

    Raises:
        EnvironmentFault: it cannot be made or written.

    """
    trial = folder / f".{secrets.token_hex(4)}.trial"
    write_file(trial, b"", where=folder)
    trial.unlink()


def write_file(path: Path, content: bytes, *, where: Path | None = None, mode: int = 0o666) -> None:
    """Write a file as a whole or not at all.

    Args:
        path: folders above it are made; a file that is there stays until the new one is complete.
        content: all of it.
        where: what an error names instead of `path`.
        mode: its permissions, less what the process masks.

    Raises:
        EnvironmentFault: it cannot be written.

    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"reports cannot be written: {error.strerror}",
            where=str(where or path),
            next_step="name another folder with --out, or make this one writable and see that its disk has room",
        ) from error
