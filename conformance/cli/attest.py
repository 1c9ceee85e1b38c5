"""`meshmark attest`: a governance body certifies what it has reviewed."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from conformance.cli.trust_option import trust_option
from conformance.cli.trusting import catalogue_option, read_whole
from conformance.cli.verify import told, verified_file
from conformance.model.errors import ExitCode, UsageError
from conformance.report.bundle import BUNDLE_SUFFIX, parse_bundle
from conformance.report.formats import write_file
from conformance.report.trust.certificates import CERTIFICATE_SUFFIX, issue_certificate
from conformance.report.trust.key_files import read_signing_key

__all__ = ["command"]


@click.command(name="attest")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--as", "role", type=click.Choice(["governance"]), required=True, help="The role in which it is signed.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The private key, NAME.pem.")
@click.option("--expires", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The last good day.")
@click.option("--condition", "conditions", multiple=True, help="Under which it holds, in words. Repeatable.")
@trust_option()
@catalogue_option()
@click.option("--out", type=click.Path(path_type=Path), help="The certificate; by default beside the bundle.")
def command(
    bundle: Path,
    role: str,
    key: Path,
    expires: datetime,
    conditions: tuple[str, ...],
    trust: tuple[Path, ...],
    catalogue: Path | None,
    out: Path | None,
) -> int:
    """Certify that the subject of BUNDLE conforms: verify it first, then sign a statement of conformance.

    Exit code 1, and no certificate, if the bundle is not to be trusted or its outcome is not conformant.
    """
    signing_key = read_signing_key(key)
    found = verified_file(bundle, trust, catalogue)
    if not found.conformant:
        click.echo("\n".join([*told(bundle, found), "", "No certificate is issued for it."]))
        return int(ExitCode.NOT_CONFORMANT)
    content = read_whole(bundle, f"a bundle, *{BUNDLE_SUFFIX}")
    reviewed = parse_bundle(content, str(bundle))
    if reviewed.record_digest != found.record_digest:
        raise UsageError("was changed just now", where=str(bundle), next_step="let nobody write to it meanwhile")
    last = date(expires.year, expires.month, expires.day)
    certificate = issue_certificate(reviewed, signing_key, expires=last, conditions=conditions)
    target = out or bundle.with_name(bundle.name.removesuffix(BUNDLE_SUFFIX) + CERTIFICATE_SUFFIX)
    write_file(target, certificate.to_bytes())
    click.echo(f"Certified by {signing_key.name} ({role}) until {last}: {target}")
    return 0
