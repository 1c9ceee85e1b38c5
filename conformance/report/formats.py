"""The formats of a report, and how their files come to be: each whole or not at all.

Invariants: a file appears under its name only when it is complete and on the disk; an older report stays until then.
Format modules are imported when their format is asked for.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.report.findings import RecordJson

__all__ = ["FORMATS", "Format", "ensure_writable", "write_reports"]


@dataclass(frozen=True)
class Format:
    """One way to show a record."""

    file_name: str
    text: str
    """What it is for, as `--help` says it."""
    render: Callable[[RecordJson], bytes]


def _render_json(record: RecordJson) -> bytes:
    from conformance.report.record_file import render_record  # noqa: PLC0415

    return render_record(record)


def _render_html(record: RecordJson) -> bytes:
    from conformance.report.html import render_html  # noqa: PLC0415

    return render_html(record)


def _render_junit(record: RecordJson) -> bytes:
    from conformance.report.junit import render_junit  # noqa: PLC0415

    return render_junit(record)


FORMATS = {
    "json": Format("record.json", "the record itself, from which every other format can be rendered", _render_json),
    "html": Format("report.html", "one page for people", _render_html),
    "junit": Format("junit.xml", "test results for CI services", _render_junit),
}
"""By the name that `--format` takes. They are written in this order: the record first."""


def write_reports(record: RecordJson, folder: Path, formats: Iterable[str]) -> dict[str, Path]:
    """Write a record in the formats asked for.

    Args:
        record: as `RunRecord.to_json` gives it or `read_record` reads it.
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
            written[name] = folder / form.file_name
            _write(written[name], form.render(record))
    return written


def ensure_writable(folder: Path) -> None:
    """Make the folder and try it, so that a run does not learn at its end that nobody will read about it.

    Raises:
        EnvironmentFault: it cannot be made or written.

    """
    trial = folder / f".{secrets.token_hex(4)}.trial"
    _write(trial, b"", where=folder)
    trial.unlink()


def _write(path: Path, content: bytes, where: Path | None = None) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
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
