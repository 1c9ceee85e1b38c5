"""`meshmark verify`: whether a bundle is to be trusted, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import click

from conformance.cli.certificate import verify_certificate
from conformance.cli.trust_option import trust_option
from conformance.cli.trusting import catalogue_option, chosen_catalogue, moment_of, read_whole
from conformance.model.errors import ExitCode, UsageError
from conformance.model.requirements import Role
from conformance.report.bundle import BUNDLE_SUFFIX, parse_bundle
from conformance.report.text import count, one_line
from conformance.report.trust.certificates import CERTIFICATE_SUFFIX
from conformance.report.trust.key_files import read_trusted
from conformance.report.trust.verification import Verification, verify_bundle
from conformance.report.wording import coverage_sentence, outcome_sentence, totals_sentence, utc, waiver_sentence

__all__ = ["command", "told", "verified_file"]

ZIP = b"PK\x03\x04"


@click.command(name="verify")
@click.argument("file", type=click.Path(path_type=Path))
@trust_option()
@catalogue_option()
@click.option("--at", metavar="DATE", help="The day for which it is to be good; by default now.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="A signature in this role is needed. Repeatable.",
)
@click.option("--status", type=click.Path(path_type=Path), help="A status list, for a certificate.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the answer."
)
def command(
    file: Path,
    trust: tuple[Path, ...],
    catalogue: Path | None,
    at: str | None,
    roles: tuple[str, ...],
    status: Path | None,
    form: str,
) -> int:
    """Say whether FILE is to be trusted: a bundle, or a certificate.

    Of a bundle: who signed what, and whether what it says follows from what it holds. Of a certificate: who issued it,
    whether it is still good, and, with --status, whether it was withdrawn. Nothing is asked over the network.

    Exit codes: 0 verified, whatever the outcome is; 1 not to be trusted; 2 it cannot be judged.
    """
    if file.name.endswith(CERTIFICATE_SUFFIX):
        return verify_certificate(file, trust, moment_of(at, "--at"), status, form)
    if status is not None:
        raise UsageError(
            "a status list is about certificates", where="--status", next_step=f"name a *{CERTIFICATE_SUFFIX}"
        )
    found = verified_file(file, trust, catalogue, at, roles)
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        click.echo("\n".join(told(file, found)))
    return 0 if found.verified else int(ExitCode.NOT_CONFORMANT)


def verified_file(
    file: Path, trust: tuple[Path, ...], catalogue: Path | None, at: str | None = None, roles: tuple[str, ...] = ()
) -> Verification:
    """Verify the bundle of a file.

    Raises:
        UsageError: it is no bundle, or a key or the catalogue cannot be read.

    """
    trusted, moment = read_trusted(trust), moment_of(at, "--at")
    content = read_whole(file, f"a bundle, *{BUNDLE_SUFFIX}")
    if not content.startswith(ZIP):
        raise UsageError("is no bundle", where=str(file), next_step=f"name a bundle, *{BUNDLE_SUFFIX}")
    known = chosen_catalogue(catalogue)
    try:
        bundle = parse_bundle(content, str(file))
    except UsageError as flaw:
        return Verification(None, "", (), (one_line(f"The bundle {flaw.what}.", 600),))
    return verify_bundle(bundle, trusted, known, at=moment, roles=[Role(role) for role in roles])


def told(file: Path, found: Verification) -> list[str]:
    """In plain words, the answer first."""
    record = found.record
    lines = [f"{'VERIFIED' if found.verified else 'REFUSED, not to be trusted'}: {file}"]
    if found.refusals:
        lines += ["", f"{count(len(found.refusals), 'reason')} against it:", *(f"  {each}" for each in found.refusals)]
    if record is not None:
        lines += ["", "What it says:" if found.verified else "What it says, which is not to be believed:"]
        lines += [f"  {one_line(each)}" for each in (outcome_sentence(record), totals_sentence(record))]
        lines.append(f"  {one_line(coverage_sentence(record))}")
        lines += [f"  {each['check']}: {one_line(waiver_sentence(each))}" for each in record["waivers"]]
        lines += ["", f"Record {found.record_digest}"]
    lines += [
        f"Signed by {one_line(each.name)} as {each.role} on {utc(each.at)} (key {each.key[:16]}…)"
        for each in found.signatures
    ]
    if found.remarks:
        lines += ["", "Not checked:", *(f"  {each}" for each in found.remarks)]
    if not found.verified:
        lines += ["", "Next: ask its sender for a bundle as meshmark wrote and signed it; rely on nothing in this one."]
    return lines
