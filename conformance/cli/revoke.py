"""`meshmark revoke`: a governance body withdraws a certificate."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.cli.trusting import read_whole
from conformance.report.formats import write_file
from conformance.report.trust.certificates import revoked_list
from conformance.report.trust.key_files import read_signing_key

__all__ = ["command"]


@click.command(name="revoke")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option(
    "--list", "status", type=click.Path(path_type=Path), required=True, help="The status list; made if needed."
)
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The key that signed the certificate.")
@click.option("--reason", default="withdrawn", show_default=True, help="Why, in words.")
def command(certificate: Path, status: Path, key: Path, reason: str) -> int:
    """Withdraw CERTIFICATE: put it on a signed status list, which is then published where the certificate is."""
    signing_key = read_signing_key(key)
    known = read_whole(status, "a status list") if status.exists() else None
    made = revoked_list(known, read_whole(certificate, "a *.certificate.json"), reason, signing_key)
    write_file(status, made.to_bytes())
    click.echo(f"Withdrawn: {certificate} stands on {status}")
    return 0
