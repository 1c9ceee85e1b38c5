"""Options that several services have, and the values that they hold once they have been looked at.

Invariant: a file that cannot be used is refused before anything is opened, by its name and without quoting it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from conformance.model.errors import UsageError

__all__ = [
    "Address",
    "Reachable",
    "TlsFiles",
    "address_option",
    "store_option",
    "store_url",
    "tls_files",
    "tls_options",
]

Function = TypeVar("Function", bound=Callable[..., Any])
FILE = click.Path(path_type=Path)
TLS_FILES = "--certificate, --key and --authorities"


class Address(NamedTuple):
    """A host and a TCP port, written `HOST:PORT`; a host that is an IPv6 address stands in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Reachable(click.ParamType[Address]):
    """Reads an `Address`."""

    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read it."""
        if isinstance(value, Address):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return Address(host.removeprefix("[").removesuffix("]"), int(port))


def address_option(name: str, **more: Any) -> Callable[[Function], Function]:
    """An option that takes an address."""
    return click.option(name, type=Reachable(), metavar="HOST:PORT", **more)


def store_option(function: Function) -> Function:
    """Where the policies are. It may hold a password, so it is better handed over by the environment."""
    return click.option(
        "--store",
        envvar="MESHMARK_STORE",
        metavar="URL",
        help="Policies: a file (PATH or sqlite:PATH) or postgresql://...; by default what MESHMARK_STORE says.",
    )(function)


def store_url(given: str | None) -> str:
    """The store that was named.

    Raises:
        UsageError: none was.

    """
    if not given:
        raise UsageError("no store of policies is named", next_step="name one by --store or by MESHMARK_STORE")
    return given


def tls_options(*, required: bool) -> Callable[[Function], Function]:
    """The files of mutual TLS."""

    def add(function: Function) -> Function:
        for name, text in (
            ("--authorities", "PEM: roots of the certificates of all others."),
            ("--key", "PEM: the private key of the certificate."),
            ("--certificate", "PEM: own certificate, then those of authorities below the root."),
        ):
            function = click.option(name, type=FILE, metavar="FILE", required=required, help=text)(function)
        return function

    return add


@dataclass(frozen=True)
class TlsFiles:
    """The content of the three files, known to belong together."""

    certificate: bytes
    key: bytes = field(repr=False)
    authorities: bytes
    _paths: tuple[Path, Path, Path]

    def server_context(self) -> ssl.SSLContext:
        """A server, TLS 1.3, that demands a certificate of every client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._shown_by(context)

    def client_context(self) -> ssl.SSLContext:
        """A client, TLS 1.3, that shows the certificate."""
        return self._shown_by(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def _shown_by(self, context: ssl.SSLContext) -> ssl.SSLContext:
        certificate, key, authorities = self._paths
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(cafile=authorities)
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"the certificates cannot be used: {error}",
                where=", ".join(map(str, self._paths)),
                next_step=f"name files in PEM that belong together by {TLS_FILES}; the key has no password",
            ) from error
        return context


def tls_files(certificate: Path | None, key: Path | None, authorities: Path | None) -> TlsFiles:
    """Read the files of mutual TLS.

    Raises:
        UsageError: one is missing or unreadable, or they do not belong together.

    """
    if certificate is None or key is None or authorities is None:
        raise UsageError("there is no TLS without certificates", next_step=f"name {TLS_FILES}")
    paths = certificate, key, authorities
    files = TlsFiles(read(certificate), read(key), read(authorities), paths)
    files.client_context()
    return files


def read(file: Path) -> bytes:
    """The content of a file.

    Raises:
        UsageError: it cannot be read.

    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"it cannot be read: {error.strerror or error}",
            where=str(file),
            next_step="name a file that is there and that this user may read",
        ) from error


def _no_password() -> str:
    """OpenSSL would ask for one on the terminal."""
    return ""
