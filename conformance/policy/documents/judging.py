"""What is wrong with a policy beside the others: references that lead nowhere, contradictions, what can never happen.

Invariants: a policy here has the form of its kind; each function looks at one policy and at what it refers to, so its
cost does not grow with the mesh. What cannot be read is not blamed on those who refer to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.policies import ForeignDomain, Kind, MemberPolicy, MeshPolicy, Policy, PolicyKey, Topology
from conformance.model.policy import ServicePolicy
from conformance.policy.documents.index import PolicyIndex, Relation
from conformance.policy.documents.judging_references import Fault, missing
from conformance.policy.documents.judging_services import service_faults
from conformance.policy.documents.keys import key_faults
from conformance.policy.documents.words import trust_domain_of

__all__ = ["faults"]


def faults(policy: Policy, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    """Everything that is wrong with one policy.

    Args:
        policy: it, as it is in the index.
        index: all policies.
        gone: what was there a moment ago, so that reasons can say that it is deleted.

    """
    match policy:
        case MeshPolicy():
            yield from _mesh_faults(policy, index)
        case MemberPolicy():
            yield from _member_faults(policy, index, gone)
        case ServicePolicy():
            yield from service_faults(policy, index, gone)


def _member_faults(policy: MemberPolicy, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    for relation, target, path in (
        (Relation.IDENTITY, policy.identity, "identity"),
        (Relation.ADDRESS, str(policy.id), "id"),
    ):
        if others := index.others(policy.member, relation, target):
            yield (path,), f"member/{others[0]} has it too", "give each member one of its own"
    for number, service in enumerate(policy.calls):
        yield from missing((Kind.SERVICE, service), ("calls", number), index, gone)


def _mesh_faults(policy: MeshPolicy, index: PolicyIndex) -> Iterator[Fault]:
    names: set[str] = set()
    issuers: set[str] = set()
    for number, issuer in enumerate(policy.issuers):
        place = ("issuers", number)
        if issuer.name in names:
            yield (*place, "name"), f"two issuers have the name `{issuer.name:.80}`", "give each a name of its own"
        if issuer.issuer in issuers:
            yield (*place, "issuer"), "another issuer says the same in `iss`", "put their keys into one key set"
        names.add(issuer.name)
        issuers.add(issuer.issuer)
        yield from (((*place, "jwks", *path), reason, step) for path, reason, step in key_faults(issuer.jwks))
    if policy.federation:
        yield from _federation_faults(policy, index)


def _federation_faults(policy: MeshPolicy, index: PolicyIndex) -> Iterator[Fault]:
    place = ("federation",)
    if policy.topology is not Topology.EXTERNAL_GATEWAY:
        step = "set `topology` to external-gateway, or take `federation` out"
        yield place, f"callers of other trust domains have no way in with topology {policy.topology}", step
    elif not index.found(Relation.GATEWAY) and not any(kind is Kind.MEMBER for kind, _ in index.unreadable):
        yield place, "no member is an external gateway", "set `gateway: true` on the member at the border"
    names: set[str] = set()
    for number, domain in enumerate(policy.federation):
        if domain.name in names:
            yield (*place, number, "name"), f"`{domain.name}` is there twice", "put all of it into one entry"
        names.add(domain.name)
        if own := sorted(index.found(Relation.TRUST_DOMAIN, domain.name)):
            reason = f"member/{own[0]} has an identity of it, so it is a domain of this mesh"
            yield (*place, number, "name"), reason, "federate with other domains only"
        yield from (((*place, number, *path), reason, step) for path, reason, step in _domain_faults(domain))


def _domain_faults(domain: ForeignDomain) -> Iterator[Fault]:
    for number, identity in enumerate(domain.identities):
        if trust_domain_of(identity) != domain.name:
            step = "put it under its own domain: this one's authority cannot vouch for it"
            yield ("identities", number), f"it is not of the trust domain `{domain.name}`", step
    if "PRIVATE KEY" in domain.authority_pem:
        yield ("authority_pem",), "there is a private key in it", "write root certificates only, and replace the key"
    elif not _certificates(domain.authority_pem):
        yield ("authority_pem",), "there is no certificate in it that can be read", "write root certificates in PEM"


def _certificates(pem: str) -> int:
    from cryptography import x509  # noqa: PLC0415 -- slow to load, and few changes are about other domains

    try:
        return len(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return 0
