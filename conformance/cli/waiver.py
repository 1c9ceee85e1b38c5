"""`meshmark waiver`: who allows a known fail."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from conformance.checks.catalogue import complete_catalogue
from conformance.model.errors import UsageError
from conformance.model.record import Waiver
from conformance.report.formats import file_stem, write_file
from conformance.report.trust.key_files import read_signing_key
from conformance.report.trust.waivers import seal_waiver

__all__ = ["command"]


@click.group(name="waiver")
def command() -> None:
    """Waivers: somebody answers for a known fail until a day, and somebody else allows it."""


@command.command()
@click.option("--check", metavar="ID", required=True, help="The check that fails.")
@click.option("--subject", metavar="NAME", required=True, help="For which subject; `*` and `?` are patterns.")
@click.option("--vendor", default="*", show_default=True, help="Of which vendor; may be a pattern.")
@click.option("--subject-version", default="*", show_default=True, help="Of which version; may be a pattern.")
@click.option("--reason", required=True, help="Why it is tolerable.")
@click.option("--owner", required=True, help="Who answers for it.")
@click.option("--expires", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The last good day.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The private key, NAME.pem.")
@click.option("--out", type=click.Path(path_type=Path), help="By default SUBJECT-ID.waiver.json.")
def sign(
    check: str,
    subject: str,
    vendor: str,
    subject_version: str,
    reason: str,
    owner: str,
    expires: datetime,
    key: Path,
    out: Path | None,
) -> int:
    """Allow a known fail: make a signed waiver, which a run file takes in by `waivers: [{file: ...}]`."""
    signing_key = read_signing_key(key)
    if check not in complete_catalogue():
        raise UsageError(
            f"there is no check {check}", where="--check", next_step="`meshmark catalogue` lists all checks"
        )
    for option, text in {"--subject": subject, "--reason": reason, "--owner": owner}.items():
        if not text.strip():
            raise UsageError("says nothing", where=option, next_step="say it in words")
    waiver = Waiver(check, reason, owner, date(expires.year, expires.month, expires.day))
    patterns = {"name": subject, "vendor": vendor, "version": subject_version}
    target = out or Path(f"{file_stem(subject)}-{check}.waiver.json")
    write_file(target, seal_waiver(waiver, patterns, signing_key).to_bytes())
    click.echo(f"Signed by {signing_key.name} ({signing_key.role}): {target}")
    return 0
