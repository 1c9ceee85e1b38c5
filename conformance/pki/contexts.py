"""TLS settings of both ends of a connection, before either shows a certificate of its own.

Every context verifies its peer; no argument switches this off, and none of them trusts the operating system's roots.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from pathlib import Path

__all__ = ["TEMPORARY_PREFIX", "anonymous_client_context", "mutual_server_context", "system_roots_pem"]

TEMPORARY_PREFIX = "meshmark-"
"""How the names of this suite's temporary folders begin."""


def anonymous_client_context(
    trust: bytes,
    *,
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ciphers: str | None = None,
    alpn: tuple[str, ...] = (),
) -> ssl.SSLContext:
    """A client that shows no certificate and verifies the server's chain, purpose, dates and host name.

    Args:
        trust: the root certificates, PEM.
        minimum_version: the oldest version offered. OpenSSL completes nothing below TLS 1.2 unless `ciphers` says
            `@SECLEVEL=0`.
        maximum_version: the newest version offered.
        ciphers: an OpenSSL cipher list for TLS 1.2 and below; OpenSSL's own if None.
        alpn: the protocols offered, the preferred one first.

    Raises:
        ssl.SSLError: `trust` holds no certificate, or `ciphers` selects nothing.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=trust.decode("ascii"))
    with warnings.catch_warnings():
        # Only who offers an outdated version can see it refused.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = minimum_version
        context.maximum_version = maximum_version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def mutual_server_context(trust: bytes, *, crl: bytes | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A server, TLS 1.2 or newer, that demands a certificate of every client and verifies it.

    Args:
        trust: the root certificates, PEM.
        crl: revocation lists, PEM, of *every* authority in the chain, the root included; None: not checked.
        alpn: the protocols accepted, the preferred one first.

    Raises:
        ssl.SSLError: `trust` or `crl` is not what it should be.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trust.decode("ascii"))
    if crl is not None:
        # `cadata` takes certificates only.
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
            file = Path(folder, "crl.pem")
            file.write_bytes(crl)
            context.load_verify_locations(cafile=file)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def system_roots_pem() -> bytes:
    """The root certificates that the operating system trusts, PEM: for building blocks with a public certificate."""
    context = ssl.create_default_context()
    return "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True))).encode("ascii")
