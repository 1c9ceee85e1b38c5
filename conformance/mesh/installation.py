"""The configuration of a mesh whose security servers run elsewhere: members come and go with their policies.

    MemberPolicy --enrol--> certificate from the given authority, addresses from the plan --> resources, by SDS and LDS

Invariants: who has no member policy has no configuration; a security server gets that of the member whose identity its
certificate proves, and no other; private keys are in memory only; every certificate is renewed long before it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography import x509

from conformance.controlplane.rendering import ListenAddress
from conformance.mesh.configuration import Configuration, Difference, Layout
from conformance.mesh.member import Listening, Member
from conformance.mesh.modifiers import Modifiers
from conformance.model.errors import UsageError
from conformance.model.policies import MemberPolicy
from conformance.model.policy import Endpoint
from conformance.pki import GIVEN_LIFE, GivenAuthority, identity_in

__all__ = ["BORDER", "INBOUND", "OUTBOUND", "RENEW_AFTER", "Installation", "Plan"]

log = logging.getLogger(__name__)

INBOUND, OUTBOUND, BORDER = 15443, 15001, 15444
"""The ports on which security servers listen for peers, for applications, and for other trust domains."""
RENEW_AFTER = GIVEN_LIFE / 3
"""So two renewals may fail before a certificate ends."""
EVERYWHERE, LOOPBACK = "0.0.0.0", "127.0.0.1"


@dataclass(frozen=True)
class Plan:
    """Where security servers are.

    A security server is the sidecar of an application, in a network namespace of its own: it listens for peers on all
    interfaces, for its application on loopback, and is found by its member's name. Unless it has a machine of its own.

    Attributes:
        authentication: where the authentication service is, by mutual TLS; None: nobody is asked about calls.
        access_log: the file that each security server writes its access log to.
        machines: for a security server on a machine of its own the IP address, on which it listens for everybody.

    """

    authentication: Endpoint | None = None
    access_log: Path = Path("/dev/stdout")
    machines: Mapping[str, str] = field(default_factory=dict)

    def listening(self, member: str) -> Listening:
        """Where a member's security server listens."""
        own = self.machines.get(member)
        return Listening(
            inbound=ListenAddress(own or EVERYWHERE, INBOUND),
            outbound=ListenAddress(own or LOOPBACK, OUTBOUND),
            border=ListenAddress(own or EVERYWHERE, BORDER),
        )

    def found_at(self, member: str) -> Endpoint:
        """Where peers find it."""
        return Endpoint(self.machines.get(member, member), INBOUND)


class Installation(Configuration):
    """A `Configuration` that makes its security servers of the policies of members."""

    def __init__(self, authority: GivenAuthority, plan: Plan) -> None:
        self._enrolled: dict[str, Member] = {}
        self._authority = authority
        self._plan = plan
        self._access_logs: dict[str, Path] = {}
        layout = Layout(access_logs=self._access_logs, decisions=plan.authentication)
        super().__init__(self._enrolled, authority, Modifiers(), layout)

    @property
    def names(self) -> Collection[str]:
        """The security servers that have a configuration."""
        return self._enrolled.keys()

    def enrol(self, name: str, policy: MemberPolicy | None) -> None:
        """Make, change or forget the security server of a member. One that nobody can vouch for has none."""
        before = self._enrolled.pop(name, None)
        if policy is None:
            return
        if before is not None and before.identity == policy.identity:
            self._enrolled[name] = before
            return
        try:
            credential = self._authority.issue(policy.identity)
        except UsageError as mistake:
            log.error("member %s gets no configuration: %s", name, mistake)
            return
        self._access_logs[name] = self._plan.access_log
        self._enrolled[name] = Member(
            name,
            policy.identity,
            credential,
            listening=self._plan.listening(name),
            inbound=self._plan.found_at(name),
        )

    def renew(self) -> dict[str, Difference]:
        """New certificates for everybody; what security servers have to be told about it."""
        for member in self._enrolled.values():
            member.credential = self._authority.issue(member.identity)
        return self.of_everything()

    def admits(self, node_id: str, certificate: bytes) -> bool:
        """Whether whoever has proven this certificate may have the configuration of a node: it is that member's."""
        member = self._enrolled.get(node_id)
        if member is None or not certificate:
            return False
        return _identity(certificate) == member.identity


@lru_cache(maxsize=10_000)
def _identity(certificate: bytes) -> str | None:
    """Streams are judged again after every change, so this is asked often."""
    return identity_in(x509.load_pem_x509_certificate(certificate))
