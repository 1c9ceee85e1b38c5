"""A trust domain: a root, an issuing authority below it, and all that workloads need of them.

Invariants: `crl_pem` always holds exactly one revocation list of every authority that is trusted, root or issuing,
because Envoy and OpenSSL refuse every peer with an authority in its chain that has none; all keys are in the memory of
this process only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.model.errors import SuiteFault
from conformance.pki.authority import Authority
from conformance.pki.certificates import Validity
from conformance.pki.credential import Credential
from conformance.pki.identity import spiffe_id

__all__ = ["AUTHORITY_AGE", "AUTHORITY_LIFE", "CLOCK_TOLERANCE", "WORKLOAD_LIFE", "Clock", "TrustDomain", "now_utc"]

Clock: TypeAlias = Callable[[], datetime]
"""Tells the time, with its zone."""

AUTHORITY_AGE: Final = timedelta(days=1)
"""How long a new authority pretends to have existed: a certificate that has expired must once have been good."""

AUTHORITY_LIFE: Final = timedelta(days=30)
"""How long a new authority is good from now on."""

WORKLOAD_LIFE: Final = timedelta(days=7)
"""How long a workload's certificate is good unless the caller says otherwise: longer than any run."""

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""Certificates and lists are good from that long ago, for peers whose clocks are slow."""


def now_utc() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class _Generation:
    """One root with its issuing authority, and when each certificate that the latter took back was taken back."""

    root: Authority
    issuing: Authority
    revoked: dict[int, datetime] = field(default_factory=dict)


class TrustDomain:
    """The certificate authority of one run.

    Two trust domains of one name have nothing in common but the name: each is unknown to those who trust the other.
    """

    def __init__(self, name: str = "mesh.test", *, clock: Clock = now_utc) -> None:
        self.name = name
        self.clock = clock
        self._roots_made = 0
        self._lists_made = 0
        self._generations = [self._new_generation()]
        self._crl_pem = self._new_lists()

    @property
    def bundle_pem(self) -> bytes:
        """The roots to trust, newest first: one, or two while a rotation is under way."""
        return b"".join(generation.root.certificate.public_bytes(Encoding.PEM) for generation in self._generations)

    @property
    def crl_pem(self) -> bytes:
        """The revocation lists of every authority, root or issuing. The same bytes until something changes."""
        return self._crl_pem

    @property
    def revocations(self) -> str:
        """A word that differs whenever a credential was revoked, and only then."""
        return str(sum(len(generation.revoked) for generation in self._generations))

    @property
    def issuing_authority(self) -> Authority:
        """The authority that signs workloads' certificates now. `misfits` signs with it what `issue` would not."""
        return self._generations[0].issuing

    def identity(self, path: str) -> str:
        """The SPIFFE ID `spiffe://<name>/<path>`.

        Raises:
            UsageError: the path breaks a SPIFFE rule.

        """
        return spiffe_id(self.name, path)

    def issue(
        self,
        identity_path: str,
        *,
        dns: Sequence[str] = ("localhost",),
        ip: Sequence[str] = ("127.0.0.1",),
        valid: timedelta = WORKLOAD_LIFE,
    ) -> Credential:
        """A credential with a new key and serial number, good for clients and servers alike.

        Args:
            identity_path: the workload, such as `building-block/registry`.
            dns: host names at which it serves.
            ip: addresses at which it serves.
            valid: how long it is good from now on.

        Raises:
            UsageError: the path breaks a SPIFFE rule.
            SuiteFault: the credential would be good for longer than its authority.

        """
        return self.issuing_authority.issue(self.names(identity_path, dns=dns, ip=ip), self.from_now(valid))

    def names(
        self, identity_path: str, *, dns: Sequence[str] = ("localhost",), ip: Sequence[str] = ("127.0.0.1",)
    ) -> list[x509.GeneralName]:
        """The subject alternative names of a workload: exactly one URI, which is its identity, then where it serves."""
        return [
            x509.UniformResourceIdentifier(self.identity(identity_path)),
            *(x509.DNSName(name) for name in dns),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in ip),
        ]

    def now(self) -> datetime:
        """The time by this trust domain's clock, in whole seconds as in certificates."""
        return self.clock().replace(microsecond=0)

    def from_now(self, valid: timedelta) -> Validity:
        """The period that ends `valid` from now, and began a little while ago for peers whose clocks are slow."""
        now = self.now()
        return Validity(now - CLOCK_TOLERANCE, now + valid)

    def revoke(self, credential: Credential) -> None:
        """Take `credential` back: `crl_pem` names it from now on.

        Raises:
            SuiteFault: no authority that is still trusted issued it, so no list can name it.

        """
        for generation in self._generations:
            if generation.issuing.issued(credential.certificate):
                generation.revoked.setdefault(credential.serial, self.now())
                self._crl_pem = self._new_lists()
                return
        raise SuiteFault(
            f"{credential!r} cannot be revoked: no trusted authority issued it",
            where=self.name,
            next_step="revoke at the trust domain that issued it, and before its root is retired",
        )

    def rotate_root(self) -> None:
        """Begin a rotation: a new root and a new issuing authority sign from now on; the old ones are still trusted.

        To lose no connection: rotate; hand the new bundle and lists to everybody; issue all credentials anew and hand
        them out; `retire_old_root`; hand out the bundle and lists once more.

        Raises:
            SuiteFault: a rotation is under way.

        """
        if len(self._generations) > 1:
            raise SuiteFault("a rotation is under way", where=self.name, next_step="retire the old root first")
        self._generations.insert(0, self._new_generation())
        self._crl_pem = self._new_lists()

    def retire_old_root(self) -> None:
        """End a rotation: what the old root vouches for is not trusted any more.

        Raises:
            SuiteFault: no rotation is under way.

        """
        if len(self._generations) == 1:
            raise SuiteFault("there is no old root", where=self.name, next_step="rotate the root first")
        self._generations.pop()
        self._crl_pem = self._new_lists()

    def _new_generation(self) -> _Generation:
        self._roots_made += 1
        now = self.now()
        validity = Validity(now - AUTHORITY_AGE, now + AUTHORITY_LIFE)
        root = Authority.root(self.name, f"root {self._roots_made}", validity)
        return _Generation(root, root.subordinate(f"issuing {self._roots_made}"))

    def _new_lists(self) -> bytes:
        self._lists_made += 1
        begins = self.now() - CLOCK_TOLERANCE
        lists = [
            authority.revocation_list(revoked, number=self._lists_made, begins=begins)
            for generation in self._generations
            for authority, revoked in ((generation.root, {}), (generation.issuing, generation.revoked))
        ]
        return b"".join(each.public_bytes(Encoding.PEM) for each in lists)
