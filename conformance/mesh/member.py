"""One security server of the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.envoy.runtime import SecurityServer
from conformance.model.errors import EnvironmentFault
from conformance.model.policy import Endpoint
from conformance.pki import Credential

__all__ = ["Member"]


@dataclass
class Member:
    """A security server: its identity, what proves it, and where it listens once it runs."""

    name: str
    identity: str
    credential: Credential
    site: str
    """Whose place it stands at: its own, or that of another member."""
    server: SecurityServer | None = None
    inbound: Endpoint | None = None
    outbound: Endpoint | None = None
    border: Endpoint | None = None

    @property
    def running(self) -> SecurityServer:
        """The Envoy, once it was started."""
        if self.server is None:
            raise EnvironmentFault(f"security server {self.name} is not running", next_step="start the mesh first")
        return self.server
