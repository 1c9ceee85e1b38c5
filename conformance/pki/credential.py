"""A credential: a certificate chain and its private key, for one workload.

Invariants: a credential never changes; its private key is in no `repr`, no `str` and no dump of its fields, because
the key becomes text only when somebody asks for `private_key_pem`; nothing is on disk unless a caller asks, but for the
moment in which `ssl` loads the key, because it loads from files only.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.model.errors import EnvironmentFault
from conformance.pki.contexts import TEMPORARY_PREFIX, anonymous_client_context, mutual_server_context
from conformance.pki.identity import identity_in

__all__ = ["Credential", "PemFiles"]


@dataclass(frozen=True)
class PemFiles:
    """Where a credential was written, for tools that only read files."""

    certificate_chain: Path
    private_key: Path


@dataclass(frozen=True, repr=False)
class Credential:
    """What a workload shows (`chain`, its own certificate first, no root) and the secret that proves it is its own."""

    chain: tuple[x509.Certificate, ...]
    private_key: ec.EllipticCurvePrivateKey = field(compare=False)

    def __repr__(self) -> str:
        return f"<Credential of {self.identity or 'nobody'}, serial {self.serial:x}>"

    @property
    def certificate(self) -> x509.Certificate:
        """The workload's own certificate."""
        return self.chain[0]

    @property
    def identity(self) -> str | None:
        """The SPIFFE ID; None if the certificate names nobody."""
        return identity_in(self.certificate)

    @property
    def serial(self) -> int:
        """The serial number of the workload's own certificate."""
        return self.certificate.serial_number

    @property
    def certificate_chain_pem(self) -> bytes:
        """The chain as PEM, the workload's own certificate first."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)

    @property
    def private_key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM. Never log it, never put it into evidence."""
        return self.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def client_context(
        self,
        trust: bytes,
        *,
        minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        maximum_version: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
        ciphers: str | None = None,
        alpn: tuple[str, ...] = (),
    ) -> ssl.SSLContext:
        """A client that shows this credential; the rest is as in `anonymous_client_context`.

        The server's SPIFFE ID is for the caller to compare: `identity_in` reads it from the server's certificate.
        """
        context = anonymous_client_context(
            trust, minimum_version=minimum_version, maximum_version=maximum_version, ciphers=ciphers, alpn=alpn
        )
        return self._shown_by(context)

    def server_context(self, trust: bytes, *, crl: bytes | None = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A server that shows this credential and demands one of every client, as in `mutual_server_context`."""
        return self._shown_by(mutual_server_context(trust, crl=crl, alpn=alpn))

    def written_to(self, folder: Path) -> PemFiles:
        """Write the chain and the key into `folder`, which is made (mode 0700) if it is missing.

        Both files have mode 0600 from their first moment. They are the caller's to delete.

        Raises:
            EnvironmentFault: a file is there already (nothing is overwritten, no link followed), or cannot be made.

        """
        files = PemFiles(folder / "certificate-chain.pem", folder / "private-key.pem")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(_new_private_file(files.certificate_chain), "wb") as file:
                file.write(self.certificate_chain_pem)
            with os.fdopen(_new_private_file(files.private_key), "wb") as file:
                file.write(self.private_key_pem)
        except OSError as problem:
            raise EnvironmentFault(
                f"a credential cannot be written: {problem.strerror or problem}",
                where=str(problem.filename or folder),
                next_step="name a new or empty folder in which this user may write",
            ) from problem
        return files

    def _shown_by(self, context: ssl.SSLContext) -> ssl.SSLContext:
        # TemporaryDirectory gives its folder mode 0700.
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
            files = self.written_to(Path(folder))
            context.load_cert_chain(files.certificate_chain, files.private_key)
        return context


def _new_private_file(path: Path) -> int:
    """A descriptor of a file that was not there before: O_EXCL refuses links, too, even dangling ones."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
