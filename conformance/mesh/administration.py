"""The policy admin service of a mesh, and the suite's own client of it.

Invariant: where nobody else may change policies, it starts when the suite first needs it: most checks never do.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.pki import TrustDomain
from conformance.policy.client import PolicyAdminClient
from conformance.policy.store import Author, Store

if TYPE_CHECKING:
    from conformance.policy.service import PolicyAdminService

__all__ = ["Administration", "PolicyAdmin"]

SERVICE = "policy-admin-service"
"""The path of the identity of the policy admin service."""
SUITE = "operator/suite"
"""The path of the identity under which the suite changes policies."""
EDITOR = "editor"


@dataclass(frozen=True)
class Administration:
    """Where policies are kept, and who else may change them.

    Attributes:
        store: URL of the store; None: a file that is gone with the mesh.
        operators: paths of the identities that may change policies, beside the suite.
        port: where the policy admin service listens; 0: a free one.

    """

    store: str | None = None
    operators: tuple[str, ...] = ()
    port: int = 0


class PolicyAdmin:
    """Starts the service and stops it."""

    def __init__(self, store: Store, described: Administration, *, trust_domain: TrustDomain, folder: Path) -> None:
        self._store = store
        self._described = described
        self._trust_domain = trust_domain
        self._log = folder / "policy-admin-service.log"
        self._exits = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._service: PolicyAdminService | None = None
        self._client: PolicyAdminClient | None = None

    @property
    def author(self) -> Author:
        """The suite, as the audit log names it."""
        return Author(self._trust_domain.identity(SUITE), EDITOR)

    @property
    def url(self) -> str:
        """Where the service is. It has been started."""
        assert self._service is not None  # noqa: S101 -- whoever asks has started it
        return self._service.url

    async def client(self) -> PolicyAdminClient:
        """A client under the suite's identity; the service runs from now on."""
        async with self._starting:
            if self._client is None:
                self._client = await self._start()
        return self._client

    async def close(self) -> None:
        """Stop the service, if it runs."""
        await self._exits.aclose()

    async def _start(self) -> PolicyAdminClient:
        from conformance.policy.service import PolicyAdminService, Role  # noqa: PLC0415 -- the HTTP server takes long
        from conformance.policy.service.observing import LOGGER  # noqa: PLC0415

        audit = logging.FileHandler(self._log, delay=True)
        logging.getLogger(LOGGER).addHandler(audit)
        self._exits.callback(audit.close)
        self._exits.callback(logging.getLogger(LOGGER).removeHandler, audit)
        trust, crl = self._trust_domain.bundle_pem, self._trust_domain.crl_pem
        own, suite = self._trust_domain.issue(SERVICE), self._trust_domain.issue(SUITE)
        editors = (SUITE, *self._described.operators)
        service = PolicyAdminService(
            self._store,
            roles={self._trust_domain.identity(path): [Role.EDITOR] for path in editors},
            tls=own.server_context(trust, crl=crl),
            port=self._described.port,
        )
        await service.start()
        self._exits.push_async_callback(service.stop)
        self._service = service
        client = PolicyAdminClient(service.url, tls=suite.client_context(trust))
        self._exits.push_async_callback(client.close)
        return client
