"""At the door of the subject's security server: who knocks, whatever he shows, and who stands in its place.

Invariant: everybody comes from where the caller's security server is.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from conformance.mesh import CALLER, WITNESS, Imposter, Member, Mesh
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.pki import anonymous_client_context
from conformance.probe.access_log import AccessLogs
from conformance.probe.credentials import CredentialKind, make_credential
from conformance.probe.exchange import new_nonce
from conformance.probe.introduction import Introduction, completed_handshakes, introduce, introduce_in_plaintext

__all__ = ["Door"]

TARGET = f"/{WITNESS}/introduced"


class Door:
    """Where peers are received. Belongs to a probe."""

    def __init__(self, mesh: Mesh, logs: AccessLogs) -> None:
        self._mesh = mesh
        self._logs = logs

    @property
    def endpoint(self) -> Endpoint:
        """Where it is."""
        return self._subject.for_peers

    async def introduce(
        self,
        kind: CredentialKind = CredentialKind.MEMBER,
        *,
        newest_tls: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> Introduction:
        """Knock with a certificate of some kind and, if let in, call the witness.

        A revoked certificate is shown only after the security servers have acknowledged the new revocation list.
        """
        trust = self._mesh.trust_domain.bundle_pem
        kind = CredentialKind(self._mesh.credential_kind(kind))
        if kind is CredentialKind.NONE:
            context = anonymous_client_context(trust, maximum_version=newest_tls)
        else:
            credential = make_credential(kind, self._mesh.trust_domain, self._mesh.identity_path(CALLER))
            if kind is CredentialKind.REVOKED:
                await self._mesh.governance.push_all()
            context = credential.client_context(trust, maximum_version=newest_tls)
        return await introduce(
            self.endpoint,
            context,
            target=TARGET,
            nonce=new_nonce(),
            log=self._logs.of(self._mesh.subject),
            handshakes=partial(completed_handshakes, self._subject.running.admin, "inbound"),
            timeout=self._mesh.timeouts.handshake,
            come_from=self._mesh.sites.server(CALLER),
        )

    async def introduce_in_plaintext(self) -> Introduction:
        """Knock without TLS."""
        return await introduce_in_plaintext(
            self.endpoint,
            target=TARGET,
            nonce=new_nonce(),
            log=self._logs.of(self._mesh.subject),
            timeout=self._mesh.timeouts.handshake,
            come_from=self._mesh.sites.server(CALLER),
        )

    @asynccontextmanager
    async def imposter(self, kind: CredentialKind, service: str = "imposter") -> AsyncIterator[Imposter]:
        """Somebody else stands where the security server of a service should stand, with a certificate of some kind.

        The caller's security server is sent there for `service`; it ought to insist on the subject's identity.
        """
        imposter = Imposter()
        kind = CredentialKind(self._mesh.credential_kind(kind))
        path = self._mesh.identity_path(self._mesh.subject)
        credential = make_credential(kind, self._mesh.trust_domain, path)
        peer = await imposter.start(credential, self._mesh.trust_domain.bundle_pem, self._mesh.sites.elsewhere)
        try:
            policy = ServicePolicy(service=service, retry=None)
            await self._mesh.register(policy, provider=self._mesh.subject, peer=peer)
            yield imposter
        finally:
            await imposter.close()

    @property
    def _subject(self) -> Member:
        return self._mesh.members[self._mesh.subject]
