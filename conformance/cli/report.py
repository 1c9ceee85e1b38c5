"""`meshmark report`: what becomes of a record after the run."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.report.bundle import read_bundle
from conformance.report.formats import DEFAULT_FORMATS, FORMATS, write_file, write_reports
from conformance.report.language import DEFAULT_LANGUAGE, languages, speaking
from conformance.report.reading import read_material
from conformance.report.text import one_line
from conformance.report.trust.key_files import read_signing_key
from conformance.report.trust.signing import sign_bundle
from conformance.report.trust.statements import PREDICATES, Predicate
from conformance.report.wording import outcome_sentence

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


@command.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The private key, NAME.pem.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the signed bundle goes; by default in its place.")
@click.option(
    "--predicate",
    type=click.Choice(sorted(PREDICATES)),
    default="test-result",
    show_default=True,
    help="What sort of in-toto Statement is signed.",
)
def sign(bundle: Path, key: Path, out: Path | None, predicate: Predicate) -> int:
    """Sign BUNDLE: say that you answer for its record, in the role of your key. Several may sign."""
    signing_key = read_signing_key(key)
    unsigned = read_bundle(bundle)
    signed = sign_bundle(unsigned, signing_key, predicate=predicate)
    target = out or bundle
    write_file(target, signed.to_bytes())
    click.echo(one_line(outcome_sentence(unsigned.material.record)))
    click.echo(f"Signed by {signing_key.name} ({signing_key.role}): {target}")
    return 0
