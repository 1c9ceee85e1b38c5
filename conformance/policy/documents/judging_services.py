"""What is wrong with the policy of a service beside the others.

Invariants as in `judging`. A rule or a route that can never do anything is refused, because whoever wrote it believes
that it does.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.model.policies import MESH, Kind, PolicyKey
from conformance.model.policy import AccessRule, PathMatchKind, Route, ServicePolicy
from conformance.policy.documents.index import PolicyIndex, Relation
from conformance.policy.documents.judging_references import Fault, Place, missing
from conformance.policy.documents.matching import Reach, comes_first, leaves_nothing, meetings
from conformance.policy.documents.problems import hint
from conformance.policy.documents.words import trust_domain_of

__all__ = ["service_faults"]

NEVER_MATCHES = "the rule can never match by it"


def service_faults(policy: ServicePolicy, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    """Everything that is wrong with one service."""
    yield from missing((Kind.MEMBER, policy.provider), ("provider",), index, gone)
    if others := index.others(policy.service, Relation.CODE, f"{policy.provider}/{policy.code}"):
        reason = f"service/{others[0]} of the same member has this code too"
        yield ("code",), reason, "give each service of a member a code of its own"
    yield from _endpoint_faults(policy)
    yield from _access_faults(policy, index, gone)
    yield from _token_faults(policy, index)
    yield from _route_faults(policy)


def _endpoint_faults(policy: ServicePolicy) -> Iterator[Fault]:
    seen: set[tuple[str, int, str]] = set()
    for number, endpoint in enumerate(policy.endpoints):
        address = (endpoint.host, endpoint.port, endpoint.group)
        if address in seen:
            reason = f"{endpoint.host} port {endpoint.port} is there twice"
            yield ("endpoints", number), reason, "keep one, and give it the weight that is meant"
        seen.add(address)


def _access_faults(policy: ServicePolicy, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    earlier: dict[str, list[tuple[int, Reach]]] = {}
    for number, rule in enumerate(policy.access):
        place = ("access", number)
        yield from _caller_faults(rule.caller, (*place, "caller"), index, gone)
        yield from _never_matching(rule, policy, place)
        reach = Reach(rule)
        rules = earlier.setdefault(index.identity_of(rule.caller) or rule.caller, [])
        covering = next((other for other, wider in rules if wider.covers(reach)), None)
        if covering is not None:
            reason = f"/access/{covering} already lets the same caller through for all of it"
            yield place, reason, "take one of the two out"
        rules.append((number, reach))


def _caller_faults(caller: str, place: Place, index: PolicyIndex, gone: frozenset[PolicyKey]) -> Iterator[Fault]:
    domain = trust_domain_of(caller)
    if not domain:
        yield from missing((Kind.MEMBER, caller), place, index, gone)
        return
    foreign = [each for each in index.mesh.federation if each.name == domain]
    if any(caller in each.identities for each in foreign) or index.found(Relation.TRUST_DOMAIN, domain):
        return
    if foreign:
        reason, step = "the policy of the mesh does not let this identity in", f"add it to the domain `{domain}` there"
        yield place, reason, step
    elif not index.unreadable:
        reason = f"neither a member nor another domain has identities of the trust domain `{domain}`"
        yield place, reason, "name a member, or a SPIFFE id of a trust domain that the mesh knows"


def _never_matching(rule: AccessRule, policy: ServicePolicy, place: Place) -> Iterator[Fault]:
    if not rule.operations:
        return
    contract = set(policy.contract)
    fitting, fitted = meetings(rule.paths, rule.operations)
    methods = {operation.method for operation in rule.operations}
    for number, operation in enumerate(rule.operations):
        here, written = (*place, "operations", number), f"{operation.method} {operation.path}"
        if contract and operation not in contract:
            known = [f"{each.method} {each.path}" for each in policy.contract]
            step = hint(written, known, otherwise="write it as it stands in `contract`")
            yield here, f"the contract has no operation `{written}`: {NEVER_MATCHES}", step
        elif rule.methods and operation.method not in rule.methods:
            step = f"add {operation.method} to `methods`, or leave `methods` out"
            yield here, f"`methods` does not have {operation.method}: {NEVER_MATCHES}", step
        elif rule.paths and number not in fitted:
            yield here, f"no path of the operation is in `paths`: {NEVER_MATCHES}", "leave `paths` out, or widen it"
    for number, method in enumerate(rule.methods):
        if method not in methods:
            step = "take it out, or add the operation"
            yield (*place, "methods", number), f"no operation of the rule has {method}: {NEVER_MATCHES}", step
    for number in range(len(rule.paths)):
        if number not in fitting:
            step = "take it out, or add the operation"
            yield (*place, "paths", number), f"no operation of the rule has such a path: {NEVER_MATCHES}", step


def _token_faults(policy: ServicePolicy, index: PolicyIndex) -> Iterator[Fault]:
    if policy.tokens is None or (Kind.MESH, MESH) in index.unreadable:
        return
    if not index.mesh.authentication:
        reason = "nobody would look at tokens: `authentication` is off in the policy of the mesh"
        yield ("tokens",), reason, "turn it on, or take `tokens` out"
    known = {issuer.name for issuer in index.mesh.issuers}
    for number, name in enumerate(policy.tokens.issuers):
        if name not in known:
            step = hint(name, known, otherwise="add it to `issuers` of the policy of the mesh")
            yield ("tokens", "issuers", number), f"the mesh knows no token issuer `{name:.80}`", step


def _route_faults(policy: ServicePolicy) -> Iterator[Fault]:
    groups = {endpoint.group for endpoint in policy.endpoints}
    earlier: dict[tuple[PathMatchKind, str], list[int]] = {}
    for number in comes_first(policy.routes):
        route, place = policy.routes[number], ("routes", number)
        yield from _split_faults(route, groups, place)
        names = [header.name.lower() for header in route.headers]
        if len(set(names)) < len(names):
            step = "keep one value of each header"
            yield (*place, "headers"), "a header would need two values at once, so the route is never reached", step
        rivals = earlier.setdefault((route.match.kind, route.match.path), [])
        rival = next((each for each in rivals if leaves_nothing(policy.routes[each], route)), None)
        if rival is not None:
            same = leaves_nothing(route, policy.routes[rival])
            reason = f"/routes/{rival} has the same match" if same else f"/routes/{rival} takes every call before it"
            yield place, reason, "take one of the two out, or make this one more special"
        rivals.append(number)


def _split_faults(route: Route, groups: set[str], place: Place) -> Iterator[Fault]:
    if not route.split:
        return
    total = sum(share.weight for share in route.split)
    if total != 100:
        yield (*place, "split"), f"the weights add up to {total}, not to 100", "change the weights"
    seen: set[str] = set()
    for number, share in enumerate(route.split):
        here = (*place, "split", number, "group")
        shown = f"the group `{share.group}`" if share.group else "the group without a name"
        if share.group in seen:
            yield here, f"{shown} is there twice", "add the two weights up"
        seen.add(share.group)
        # Before the building block is started, no group has endpoints.
        if groups and share.group not in groups:
            step = hint(share.group, groups - {""}, otherwise="add an endpoint of that group, or take the share out")
            yield here, f"{shown} has no endpoints", step
