"""`meshmark compare`: what changed between two runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from conformance.report.comparison import Comparison, compare
from conformance.report.formats import write_file
from conformance.report.language import DEFAULT_LANGUAGE, languages, speaking
from conformance.report.reading import read_material

__all__ = ["command"]


def _text(comparison: Comparison) -> bytes:
    from conformance.report.comparison_text import comparison_lines  # noqa: PLC0415

    return ("\n".join(comparison_lines(comparison)) + "\n").encode()


def _json(comparison: Comparison) -> bytes:
    from conformance.report.record_file import render_record  # noqa: PLC0415

    return render_record(comparison.to_json())


def _html(comparison: Comparison) -> bytes:
    from conformance.report.comparison_page import render  # noqa: PLC0415

    return render(comparison)


RENDERERS: dict[str, Callable[[Comparison], bytes]] = {"text": _text, "json": _json, "html": _html}


@click.command(name="compare")
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(list(RENDERERS)),
    default="text",
    show_default=True,
    help="For a terminal, for programs, or one page for people.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file instead.")
@click.option(
    "--language",
    type=click.Choice(languages()),
    default=DEFAULT_LANGUAGE,
    show_default=True,
    help="Language of text and page; JSON is always English.",
)
def command(before: Path, after: Path, form: str, out: Path | None, language: str) -> int:
    """Say what changed from A to B: each a record.json, a bundle, or a folder that holds one.

    The exit code is 1 if anything got worse: a new fail, a lost pass, a fail that a waiver no longer covers, a worse
    outcome. A check that is gone or was not judged is never fixed.
    """
    comparison = compare(read_material(before), read_material(after))
    with speaking(language):
        content = RENDERERS[form](comparison)
    if out is None:
        click.echo(content, nl=False)
    else:
        write_file(out, content)
        click.echo(out)
    return int(comparison.worse)
