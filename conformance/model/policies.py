"""All that a mesh is told: about itself, about its members and about services, and how news of it travels.

Invariants: a policy has a kind and a name, and within a kind a name is taken once; versions of a store only grow; a
change is handed to whoever follows (control planes, authentication services) in the same words, once and in order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from conformance.model.policy import ServicePolicy

__all__ = [
    "MESH",
    "ForeignDomain",
    "Kind",
    "MemberId",
    "MemberPolicy",
    "MeshPolicy",
    "Policy",
    "PolicyChange",
    "PolicyFeed",
    "PolicyKey",
    "TokenIssuer",
    "Topology",
    "key_of",
]

MESH = "mesh"
"""The name of the one policy of kind `mesh`."""


class Kind(StrEnum):
    """What a policy is about."""

    MESH = "mesh"
    MEMBER = "member"
    SERVICE = "service"


PolicyKey = tuple[Kind, str]
"""Kind and name."""


class Topology(StrEnum):
    """Where security servers stand."""

    INTER_PROXY = "inter-proxy"
    """In front of applications that have machines of their own."""
    SIDECAR = "sidecar"
    """Beside each application, in its network namespace, as in a Kubernetes pod."""
    EXTERNAL_GATEWAY = "external-gateway"
    """As inter-proxy, and one at the border, where callers of other trust domains come in."""


@dataclass(frozen=True)
class MemberId:
    """An X-Road client identifier, written `instance/class/code/subsystem`; the subsystem may be missing.

    (X-Road: Message Protocol for REST, section 4; GovStack Information Mediator 1.1.1.)
    """

    instance: str
    member_class: str
    member_code: str
    subsystem: str = ""

    def __str__(self) -> str:
        parts = (self.instance, self.member_class, self.member_code, self.subsystem)
        return "/".join(part for part in parts if part)


@dataclass(frozen=True)
class TokenIssuer:
    """Somebody whose signed tokens count.

    Attributes:
        name: how services refer to it.
        issuer: what the token's `iss` must say.
        jwks: its public keys, a JSON Web Key Set (RFC 7517) as JSON text. A rotation is a change of the policy.

    """

    name: str
    issuer: str
    jwks: str


@dataclass(frozen=True)
class ForeignDomain:
    """Another trust domain whose callers come in by the external gateway.

    Attributes:
        name: its trust domain, such as `partner.example`.
        authority_pem: its root certificates.
        identities: SPIFFE ids that are let in, exactly these.

    """

    name: str
    authority_pem: str
    identities: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeshPolicy:
    """What counts for the whole mesh.

    Attributes:
        instance: the first part of X-Road identifiers.
        client_header: the header by which an X-Road client names itself.
        minimum_tls: `1.3`, or `1.2` where older peers have to be borne.
        topology: where security servers stand.
        authentication: whether the authentication service is asked about each call.
        authentication_timeout_s: no answer of it by then is a refusal; the limit service has as long.
        issuers: whose tokens count.
        tracing_percent: the share of calls without a sampling decision of their own that are traced.
        federation: other trust domains.

    """

    instance: str = "MESH"
    client_header: str = "X-Road-Client"
    minimum_tls: str = "1.3"
    topology: Topology = Topology.INTER_PROXY
    authentication: bool = True
    authentication_timeout_s: float = 1.0
    issuers: tuple[TokenIssuer, ...] = ()
    tracing_percent: float = 100.0
    federation: tuple[ForeignDomain, ...] = ()


@dataclass(frozen=True)
class MemberPolicy:
    """A member of the mesh: one security server and the applications behind it.

    Attributes:
        member: its name, which is also that of its security server.
        identity: the SPIFFE id of its security server.
        id: its X-Road identifier; None: it has none, and cannot be addressed or named that way.
        calls: the services that its applications may address. That does not allow the calls: the services' rules do.
        gateway: whether it is an external gateway.

    """

    member: str
    identity: str
    id: MemberId | None = None
    calls: tuple[str, ...] = ()
    gateway: bool = False


Policy = MeshPolicy | MemberPolicy | ServicePolicy


def key_of(policy: Policy) -> PolicyKey:
    """Kind and name of a policy."""
    match policy:
        case MeshPolicy():
            return Kind.MESH, MESH
        case MemberPolicy():
            return Kind.MEMBER, policy.member
        case ServicePolicy():
            return Kind.SERVICE, policy.service


@dataclass(frozen=True)
class PolicyChange:
    """What differs between two versions of a store.

    Attributes:
        version: the newer one.
        put: policies that are new or different, each as it is now.
        deleted: policies that are no more.

    """

    version: int
    put: tuple[Policy, ...]
    deleted: tuple[PolicyKey, ...] = ()


class PolicyFeed(Protocol):
    """Where news of policies comes from: a store, in this process or in another one."""

    def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        """Everything since version `after` as one change, then each further one as it happens, without end.

        Several versions may come as one change; what then counts is the last word on each policy. `after` is 0 for
        whoever knows nothing yet.
        """
        ...
