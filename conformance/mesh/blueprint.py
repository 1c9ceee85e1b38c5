"""What a reference mesh is made of: policies, from a store or from documents, and the building blocks behind them.

Invariants: whatever is handed out can be started as far as policies go: nothing is wrong with them, all members belong
to one trust domain, and each building block has a service and a member of its name. Policies that a store holds count
as they are; documents are only for an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.mesh.partner import PARTNER, knows_partner, with_border, with_partner
from conformance.model.errors import UsageError
from conformance.model.policies import MESH, Kind, MemberPolicy, PolicyKey, Topology
from conformance.model.run_file import Subject, parse_run_file
from conformance.pki import TrustDomain
from conformance.policy.documents import InvalidPolicies, PolicySet, located
from conformance.policy.files import read_policy_files
from conformance.policy.store import Document
from conformance.policy.store.opening import open_store
from conformance.system.folders import bundled

__all__ = ["BUILDING_BLOCKS", "Blueprint", "draw_blueprint"]

BUILDING_BLOCKS = ("birth-registry", "citizen-id", "death-registry", "patient-registry")
"""The reference building blocks; each is described by a run file of its name."""
REFERENCE_POLICIES = "fixtures/policies"
SCHEME = "spiffe://"


@dataclass(frozen=True)
class Blueprint:
    """A reference mesh before it is built.

    Attributes:
        policies: all that will be in force at first.
        documents: those of them that the store does not hold yet.
        trust_domain: to which all members belong.
        members: by name.
        building_blocks: those that are started.
        partner: the reference's other trust domain, if its callers come in at the border.

    """

    policies: PolicySet
    documents: Mapping[PolicyKey, Document]
    trust_domain: str
    members: Mapping[str, MemberPolicy]
    building_blocks: tuple[Subject, ...]
    partner: TrustDomain | None


async def draw_blueprint(
    *, store: str | None, policies: Path | None, services: Sequence[str] | None, topology: Topology | None
) -> Blueprint:
    """Find out what a mesh is to be made of.

    Args:
        store: URL of a store that may hold policies already; None: there is none yet.
        policies: file or folder of documents for an empty store; None: those of the reference.
        services: building blocks to be started; None: all of the reference that have a service.
        topology: None: as the policies say.

    Raises:
        UsageError: it cannot be built: policies, names or the topology are no good.
        EnvironmentFault: the store cannot be opened.

    """
    kept = await _kept(store)
    if kept and policies:
        raise UsageError(
            "the store holds policies already",
            where="--policies",
            next_step="leave out --policies, and change what is there by `meshmark policy apply`",
        )
    documents = dict(kept or _written(policies or bundled(REFERENCE_POLICIES)))
    before = dict(kept)
    if topology and PolicySet.of(documents).mesh.topology is not topology:
        mesh = {**documents.get((Kind.MESH, MESH), {"kind": Kind.MESH.value}), "topology": topology.value}
        documents[Kind.MESH, MESH] = mesh
    partner = None
    if PolicySet.of(documents).mesh.topology is Topology.EXTERNAL_GATEWAY:
        if not kept and not policies:
            partner = TrustDomain(PARTNER)
            documents = with_border(documents, partner)
        elif knows_partner(documents):
            partner = TrustDomain(PARTNER)
            documents = with_partner(documents, partner)
    new = {key: document for key, document in documents.items() if document is not before.get(key)}
    found = PolicySet.of(documents)
    members = {name: member for name in found.names(Kind.MEMBER) if (member := found.member(name))}
    return Blueprint(found, new, _trust_domain(members), members, _building_blocks(found, services), partner)


async def _kept(url: str | None) -> Mapping[PolicyKey, Document]:
    if url is None:
        return {}
    store = await open_store(url)
    try:
        return {key: stored.document for key, stored in (await store.documents()).items()}
    finally:
        await store.close()


def _written(path: Path) -> Mapping[PolicyKey, Document]:
    documents = read_policy_files([path])
    found = {each.key: each.document for each in documents}
    if problems := PolicySet.of(found).problems():
        raise InvalidPolicies(located(problems, documents))
    return found


def _trust_domain(members: Mapping[str, MemberPolicy]) -> str:
    domains = {member.identity.removeprefix(SCHEME).partition("/")[0]: member for member in members.values()}
    if not domains:
        raise UsageError(
            "the policies name no member, so there is nobody to call and nobody to be called",
            next_step="add a document of kind `member` for each security server",
        )
    if len(domains) > 1:
        raise UsageError(
            "members of a mesh belong to one trust domain",
            detail="\n".join(f"{member.member}: {member.identity}" for member in domains.values()),
            next_step="give them identities of one trust domain",
        )
    return next(iter(domains))


def _building_blocks(policies: PolicySet, wanted: Sequence[str] | None) -> tuple[Subject, ...]:
    known = [name for name in BUILDING_BLOCKS if _has_a_place(policies, name)]
    for name in wanted or ():
        if name not in BUILDING_BLOCKS:
            raise UsageError(
                f"there is no reference building block {name!r}",
                where="--services",
                next_step=f"use some of {', '.join(BUILDING_BLOCKS)}",
            )
        if name not in known:
            raise UsageError(
                f"the policies have no place for {name}",
                where="--services",
                next_step=f"add a member {name}, and a service {name} that it provides, or leave it out",
            )
    return tuple(_described(name) for name in known if wanted is None or name in wanted)


def _has_a_place(policies: PolicySet, name: str) -> bool:
    service = policies.service(name)
    return service is not None and service.provider == name and policies.member(name) is not None


def _described(name: str) -> Subject:
    path = bundled(f"fixtures/{name}.meshmark.yaml")
    return parse_run_file(path.read_text("utf-8"), path).run_file.subject
