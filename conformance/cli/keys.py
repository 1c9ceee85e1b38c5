"""`meshmark keys`: who signs."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.model.requirements import Role
from conformance.report.trust.key_files import write_key
from conformance.report.trust.keys import KeyType, new_key

__all__ = ["command"]


@click.group(name="keys")
def command() -> None:
    """Keys that sign reports, waivers and certificates."""


@command.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Writes OUT.pem and OUT.pub.pem.")
@click.option(
    "--type", "kind", type=click.Choice(["ed25519", "p256"]), default="ed25519", show_default=True, help="Of the key."
)
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.VENDOR.value,
    show_default=True,
    help="In which its owner signs.",
)
@click.option("--name", help="Of its owner; by default that of the file.")
def new(out: Path, kind: KeyType, role: str, name: str | None) -> int:
    """Make a pair of keys: the private one stays with its owner, the public one goes to whoever verifies.

    If the environment variable MESHMARK_KEY_PASSPHRASE is set, the private key is encrypted with it.
    """
    key = new_key(kind, out.name if name is None else name, Role(role))
    private, public = write_key(key, out)
    click.echo(f"{private}  keep it to yourself; anybody who has it can sign as {key.name} ({key.role})")
    click.echo(f"{public}  give it to whoever verifies, by a way that cannot be tampered with")
    click.echo(f"key id {key.public.id}")
    return 0
