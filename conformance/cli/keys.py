"""`meshmark keys`: who signs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from conformance.model.requirements import Role
from conformance.report.trust.key_files import write_key, write_token_key
from conformance.report.trust.keys import KeyType, PublicKey, new_key

__all__ = ["command"]

Command = TypeVar("Command", bound=Callable[..., int])


@click.group(name="keys")
def command() -> None:
    """Keys that sign reports, waivers and certificates."""


def _described(command: Command) -> Command:
    """The options that say where a key goes and whose it is."""
    roles = click.Choice([role.value for role in Role])
    for option in (
        click.option("--name", help="Of its owner; by default that of the file."),
        click.option(
            "--role", type=roles, default=Role.VENDOR.value, show_default=True, help="In which its owner signs."
        ),
        click.option("--out", type=click.Path(path_type=Path), required=True, help="Writes OUT.pem and OUT.pub.pem."),
    ):
        command = option(command)
    return command


@command.command()
@_described
@click.option(
    "--type", "kind", type=click.Choice(["ed25519", "p256"]), default="ed25519", show_default=True, help="Of the key."
)
def new(out: Path, kind: KeyType, role: str, name: str | None) -> int:
    """Make a pair of keys: the private one stays with its owner, the public one goes to whoever verifies.

    If the environment variable MESHMARK_KEY_PASSPHRASE is set, the private key is encrypted with it.
    """
    key = new_key(kind, out.name if name is None else name, Role(role))
    private, public = write_key(key, out)
    click.echo(f"{private}  keep it to yourself; anybody who has it can sign as {key.name} ({key.role})")
    return _told(public, key.public)


@command.command()
@click.argument("uri")
@_described
def token(uri: str, out: Path, role: str, name: str | None) -> int:
    """Use a key that stays in a token: a smart card or a hardware security module (PKCS#11).

    URI names it (RFC 7512): "pkcs11:token=NAME;object=LABEL?module-path=/PATH/OF/MODULE.so". Whatever signs asks for
    the token's PIN, or takes it from the environment variable MESHMARK_TOKEN_PIN.
    """
    from conformance.report.trust.token_keys import find_token_key  # noqa: PLC0415 -- needs an extra

    key = find_token_key(uri, out.name if name is None else name, Role(role))
    private, public = write_token_key(key, out)
    click.echo(f"{private}  says where the key is; whoever signs names it by --key")
    return _told(public, key.public)


def _told(public: Path, key: PublicKey) -> int:
    click.echo(f"{public}  give it to whoever verifies, by a way that cannot be tampered with")
    click.echo(f"key id {key.id}")
    return 0
