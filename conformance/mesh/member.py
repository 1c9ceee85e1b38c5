"""One security server of the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.controlplane.rendering import ListenAddress
from conformance.envoy.runtime import SecurityServer
from conformance.model.errors import EnvironmentFault
from conformance.model.policy import Endpoint
from conformance.pki import Credential

__all__ = ["Listening", "Member"]


@dataclass(frozen=True)
class Listening:
    """Where a security server listens: for peers, for its own applications, and for callers of other trust domains."""

    inbound: ListenAddress
    outbound: ListenAddress
    border: ListenAddress


@dataclass
class Member:
    """A security server: its identity, what proves it, and where it listens once it runs.

    `listening` is where it has to listen; None: where the mesh decides. `inbound` is where its peers find it.
    """

    name: str
    identity: str
    credential: Credential
    site: str = ""
    """Whose place it stands at, if the mesh decides: its own (empty), or that of another member."""
    listening: Listening | None = None
    server: SecurityServer | None = None
    inbound: Endpoint | None = None
    outbound: Endpoint | None = None
    border: Endpoint | None = None

    @property
    def for_peers(self) -> Endpoint:
        """Where its peers find it, once it listens."""
        return self._listening_at(self.inbound)

    @property
    def for_applications(self) -> Endpoint:
        """Where its own applications find it, once it listens."""
        return self._listening_at(self.outbound)

    @property
    def running(self) -> SecurityServer:
        """The Envoy, once it was started."""
        if self.server is None:
            raise EnvironmentFault(f"security server {self.name} is not running", next_step="start the mesh first")
        return self.server

    def _listening_at(self, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None:
            raise EnvironmentFault(f"security server {self.name} has no listener", next_step="start the mesh first")
        return endpoint
