"""One security server of the mesh and what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.envoy.runtime import SecurityServer
from conformance.model.errors import EnvironmentFault
from conformance.model.policy import Endpoint
from conformance.pki import Credential

__all__ = ["Member"]


@dataclass
class Member:
    """A security server: its identity, the services behind it, the services that its applications may call.

    Services are keys of dicts: in the order of their coming, and quick to find among ten thousand.
    """

    name: str
    identity: str
    credential: Credential
    services: dict[str, None] = field(default_factory=dict)
    calls: dict[str, None] = field(default_factory=dict)
    server: SecurityServer | None = None
    inbound: Endpoint | None = None
    outbound: Endpoint | None = None

    def provides(self, service: str) -> bool:
        """The service is behind it."""
        return service in self.services

    def may_call(self, service: str) -> bool:
        """Its applications may address the service."""
        return service in self.calls

    @property
    def running(self) -> SecurityServer:
        """The Envoy, once it was started."""
        if self.server is None:
            raise EnvironmentFault(f"security server {self.name} is not running", next_step="start the mesh first")
        return self.server
