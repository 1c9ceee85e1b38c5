"""`meshmark registry`: many results as one site."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from conformance.cli.trust_option import trust_option
from conformance.cli.trusting import certificates_below, verifier_of
from conformance.model.errors import UsageError
from conformance.report.language import DEFAULT_LANGUAGE, languages, say, speaking
from conformance.report.registry.build import build_registry
from conformance.report.registry.certified import NO_CERTIFICATES
from conformance.report.registry.verification import UNTRUSTED
from conformance.report.text import count, one_line

__all__ = ["command"]


@click.group(name="registry")
def command() -> None:
    """Many evidence bundles as one site that needs no server."""


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="registry",
    show_default=True,
    help="Folder of the site: new, empty, or made by an earlier build.",
)
@click.option("--title", help="What the site is called; 'Conformance registry' in its language unless given.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day on which expiry is judged; today (UTC) unless given.",
)
@trust_option(required=False)
@click.option(
    "--catalogue",
    "catalogues",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A catalogue that has judged some of them, beside this version's own. Repeatable.",
)
@click.option(
    "--status",
    type=click.Path(path_type=Path),
    help="The status list of the governance body: certificates that it withdrew.",
)
@click.option(
    "--language",
    type=click.Choice(languages()),
    default=DEFAULT_LANGUAGE,
    show_default=True,
    help="Language of pages, reports and feed; index.json is always English.",
)
def build(
    folder: Path,
    out: Path,
    title: str | None,
    as_of: datetime | None,
    trust: tuple[Path, ...],
    catalogues: tuple[Path, ...],
    status: Path | None,
    language: str,
) -> int:
    """Build a site of all bundles (*.meshmark.zip) below DIR.

    A bundle that is damaged or does not add up is shown as refused, with the reason, and never counted; with --trust
    also one that `meshmark verify` would refuse. With --trust, certificates (*.certificate.json) below DIR are shown
    with what they certify. A second build makes only what changed. An interrupted build leaves the site that was there.
    """
    today = as_of.date() if as_of else datetime.now(UTC).date()
    if status is not None and not trust:
        raise UsageError("a status list counts by its signature", where="--status", next_step="name keys by --trust")
    verifier, certificates = UNTRUSTED, NO_CERTIFICATES
    if trust:
        verifier = verifier_of(trust, catalogues, today)
        certificates = certificates_below(folder, out, trust, status, today)
    with speaking(language):
        title = title or say("registry.title")
        built = build_registry(folder, out, title=title, today=today, verifier=verifier, certificates=certificates)
    register = built.register
    click.echo(
        f"{out}: {count(len(register.subjects), 'subject')}, {count(len(register.entries), 'bundle')}, "
        f"{len(register.refusals):,} refused; {count(built.files, 'file')}, {built.made:,} made anew"
    )
    for each in register.refusals:
        click.echo(f"refused: {one_line(each.path, 200)}: {one_line(each.reason, 400)}")
    return 0
