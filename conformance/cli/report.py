"""`meshmark report`: what becomes of a record after the run."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.report.formats import DEFAULT_FORMATS, FORMATS, write_reports
from conformance.report.language import DEFAULT_LANGUAGE, languages, speaking
from conformance.report.reading import read_material

__all__ = ["command"]


@click.group(name="report")
def command() -> None:
    """Reports made of a record, now or years later."""


@command.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(sorted(FORMATS)),
    help=f"Report formats; by default {', '.join(DEFAULT_FORMATS)}.",
)
@click.option("--out", type=click.Path(path_type=Path), default=".", show_default=True, help="Folder for the reports.")
@click.option(
    "--language",
    type=click.Choice(languages()),
    default=DEFAULT_LANGUAGE,
    show_default=True,
    help="Language of the reports.",
)
def render(record: Path, formats: tuple[str, ...], out: Path, language: str) -> int:
    """Make reports of RECORD: a record.json, or a bundle."""
    with speaking(language):
        written = write_reports(read_material(record), out, formats or DEFAULT_FORMATS)
    for path in written.values():
        click.echo(path)
    return 0
