"""Faults of discovery: endpoints that come or go unnoticed, shares not kept, a register that says too little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.checks.discovery.register import UNLISTED
from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import Edited, undecided
from conformance.faults.areas.policy import Between
from conformance.faults.seeding import REFERENCE, Caught, seed
from conformance.mesh import CALLER, WITNESS, Modifier, Resources
from conformance.model.policies import MemberPolicy, Policy
from conformance.model.policy import LoadBalancing, Operation, ServicePolicy

Cluster = dict[str, Any]


class OfWitness(Modifier):
    """The control plane makes something else of each policy of the witness."""

    def __init__(self, made: Callable[[ServicePolicy], ServicePolicy]) -> None:
        self._make = made

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Changed."""
        return self._make(policy) if policy.service == WITNESS else policy


def fewer(before: ServicePolicy, policy: ServicePolicy) -> bool:
    """Endpoints were removed, and none was added."""
    return {*policy.endpoints} < {*before.endpoints}


# ---------------------------------------------------------------------- endpoints come and go


class FirstEndpoints(Modifier):
    """Whatever endpoints a service has later, it keeps those that it had at first."""

    def __init__(self) -> None:
        self._first: dict[str, ServicePolicy] = {}

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """With the first endpoints."""
        if not policy.endpoints:
            return policy
        return replace(policy, endpoints=self._first.setdefault(policy.service, policy).endpoints)


BOTH_NEEDED: dict[str, str | Caught] = {
    "DISCOVERY-003": "turns-not-taken",
    "DISCOVERY-004": "share-not-kept",
    "DISCOVERY-005": undecided("endpoints-not-both-used"),
    "BREAK-003": undecided("endpoints-not-both-used"),
}
"""Checks that cannot do without a second endpoint."""

seed(
    "discovery-endpoints-frozen",
    defect="The endpoints of a service are read once, when it is registered.",
    modifier=FirstEndpoints(),
    caught_by=BOTH_NEEDED
    | {
        "DISCOVERY-001": "added-endpoint-not-called",
        "DISCOVERY-002": undecided("endpoint-not-called"),
        "DISCOVERY-006": undecided("first-not-called"),
        "RETRY-001": undecided("refusal-not-met"),
    },
)


def added_elsewhere(policy: ServicePolicy) -> ServicePolicy:
    """Port 1 (tcpmux) is never handed out to anybody."""
    return replace(policy, endpoints=(*policy.endpoints[:1], *(replace(each, port=1) for each in policy.endpoints[1:])))


seed(
    "discovery-added-endpoint-elsewhere",
    defect="An added endpoint is looked for where nobody listens.",
    modifier=OfWitness(added_elsewhere),
    caught_by=BOTH_NEEDED
    | {
        "DISCOVERY-001": "call-lost",
        "DISCOVERY-002": undecided("endpoint-not-called"),
        "DISCOVERY-006": "second-did-not-take-over",
        "POLICY-005": "call-lost",
        "RETRY-001": "refusal-not-retried",
    },
)
seed(
    "discovery-added-endpoint-replaces-the-others",
    defect="An endpoint that is added takes the place of those that were there.",
    modifier=OfWitness(lambda policy: replace(policy, endpoints=policy.endpoints[-1:])),
    caught_by=BOTH_NEEDED
    | {
        "DISCOVERY-001": "first-endpoint-forsaken",
        "DISCOVERY-002": undecided("endpoint-not-called"),
        "DISCOVERY-006": undecided("first-not-called"),
        "RETRY-001": undecided("refusal-not-met"),
    },
)
seed(
    "discovery-removal-ignored",
    defect="The removal of an endpoint is not passed on.",
    modifier=Between(
        lambda before, policy: replace(policy, endpoints=before.endpoints) if fewer(before, policy) else policy
    ),
    caught_by={"DISCOVERY-002": "removed-endpoint-called"},
)
seed(
    "discovery-removal-of-all-endpoints",
    defect="With one endpoint of a service all of them are removed.",
    modifier=Between(lambda before, policy: replace(policy, endpoints=()) if fewer(before, policy) else policy),
    caught_by={"DISCOVERY-002": "call-lost", "POLICY-005": "call-lost"},
)


class RestartsForRemovals(Between):
    """Another process takes a security server's place when a service has lost an endpoint."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self._due = False

    def _note(self, before: ServicePolicy, policy: ServicePolicy) -> ServicePolicy:
        self._due |= fewer(before, policy)
        return policy

    def restarts(self, server: str) -> bool:
        """Once for each removal."""
        due, self._due = self._due, False
        return due


seed(
    "discovery-restart-for-a-removal",
    defect="The security server is restarted when an endpoint is removed.",
    modifier=RestartsForRemovals(),
    caught_by={"DISCOVERY-002": "call-under-way-lost", "POLICY-005": "call-lost"},
)

# ---------------------------------------------------------------------- shares


def at_random(policy: ServicePolicy) -> ServicePolicy:
    """As soon as there are enough of them."""
    return replace(policy, load_balancing=LoadBalancing.RANDOM) if len(policy.endpoints) > 2 else policy


def without_weights(policy: ServicePolicy) -> ServicePolicy:
    """All endpoints weigh the same."""
    return replace(policy, endpoints=tuple(replace(each, weight=1) for each in policy.endpoints))


def in_quarters(policy: ServicePolicy) -> ServicePolicy:
    """Every share but the first is at least a quarter."""

    def rounded(weights: list[int]) -> list[int]:
        others = [max(weight, 25) for weight in weights[1:]]
        return [100 - sum(others), *others]

    routes = []
    for route in policy.routes:
        weights = rounded([share.weight for share in route.split]) if route.split else []
        shares = zip(route.split, weights, strict=True)
        routes.append(replace(route, split=tuple(replace(share, weight=weight) for share, weight in shares)))
    return replace(policy, routes=tuple(routes))


seed(
    "discovery-turns-at-random",
    defect="Among three and more endpoints one is drawn by lot, whatever was declared.",
    modifier=OfWitness(at_random),
    caught_by={"DISCOVERY-003": "turns-not-taken"},
)
seed(
    "discovery-weights-lost",
    defect="The weights of endpoints are not passed on.",
    modifier=OfWitness(without_weights),
    caught_by={"DISCOVERY-003": "weights-not-kept"},
)
seed(
    "discovery-shares-in-quarters",
    defect="Shares of the calls are rounded up to a quarter.",
    modifier=OfWitness(in_quarters),
    caught_by={"DISCOVERY-004": "share-not-kept"},
)

# ---------------------------------------------------------------------- health and priorities


def on_checked(change: Callable[[Cluster], None]) -> Edited:
    """Changes clusters whose endpoints are asked how they are."""

    def edit(_: str, resources: Resources) -> None:
        for cluster in resources[ResourceType.CLUSTER].values():
            if "health_checks" in cluster:
                change(cluster)

    return Edited(edit)


def panic(cluster: Cluster) -> None:
    """As soon as one endpoint is sick all are called."""
    cluster["common_lb_config"]["healthy_panic_threshold"] = {"value": 100}


def never_well_again(cluster: Cluster) -> None:
    """It would take minutes of good answers."""
    cluster["health_checks"][0]["healthy_threshold"] = 1000


seed(
    "discovery-health-not-asked",
    defect="Nobody asks endpoints how they are.",
    modifier=OfWitness(lambda policy: replace(policy, health_check=None)),
    caught_by={"DISCOVERY-005": "not-taken-out", "DISCOVERY-006": "second-did-not-take-over"},
)
seed(
    "discovery-panic",
    defect="When one endpoint is sick the security server panics and calls all of them.",
    modifier=on_checked(panic),
    caught_by={"DISCOVERY-005": "sick-endpoint-called"},
)
seed(
    "discovery-never-well-again",
    defect="An endpoint that was sick once has to give a thousand good answers before it is called again.",
    modifier=on_checked(never_well_again),
    caught_by={"DISCOVERY-005": "never-taken-back", "DISCOVERY-006": "first-not-back"},
)
seed(
    "discovery-priorities-lost",
    defect="The priorities of endpoints are not passed on.",
    modifier=OfWitness(
        lambda policy: replace(policy, endpoints=tuple(replace(each, priority=0) for each in policy.endpoints))
    ),
    caught_by={"DISCOVERY-006": "second-called-too-early"},
)

# ---------------------------------------------------------------------- the register


class Registered(Modifier):
    """The register says something else of the subject."""

    def __init__(
        self,
        *,
        member: Callable[[MemberPolicy], MemberPolicy] = lambda member: member,
        service: Callable[[ServicePolicy], ServicePolicy] = lambda service: service,
    ) -> None:
        self._member = member
        self._service = service

    def registered(self, policy: Policy) -> Policy:
        """Changed."""
        match policy:
            case MemberPolicy(member=name) if name == REFERENCE:
                return self._member(policy)
            case ServicePolicy(service=name) if name == REFERENCE:
                return self._service(policy)
        return policy


FORGOTTEN = Operation("GET", "/withdrawn/{recordId}")

seed(
    "discovery-member-without-identifier",
    defect="The member was registered without an identifier, so the directory does not show it.",
    modifier=Registered(member=lambda member: replace(member, id=None)),
    caught_by={"DISCOVERY-007": "not-listed"},
)
seed(
    "discovery-operation-not-registered",
    defect="An operation that came with the last release was not registered.",
    modifier=Registered(service=lambda service: replace(service, contract=service.contract[:-1])),
    caught_by={"DISCOVERY-007": "operation-missing"},
)
seed(
    "discovery-operation-long-gone",
    defect="The register still has an operation that the contract has lost.",
    modifier=Registered(service=lambda service: replace(service, contract=(*service.contract, FORGOTTEN))),
    caught_by={"DISCOVERY-007": "operation-unknown"},
)


class LeftOver(Modifier):
    """At some security servers the resources of a service stay when it is withdrawn, but for some kinds of them."""

    def __init__(self, where: Callable[[str], bool], *, but: ResourceType | None = None) -> None:
        self._where = where
        self._but = but
        self._known: dict[str, Resources] = {}

    def resources(self, server: str, resources: Resources) -> Resources:
        """With what was known of the service."""
        if not self._where(server):
            return resources
        known = self._known.setdefault(server, {})
        for kind, named in resources.items():
            if kind is not self._but:
                known.setdefault(kind, {}).update({name: each for name, each in named.items() if UNLISTED in name})
        return {kind: {**known.get(kind, {}), **resources.get(kind, {})} for kind in {**known, **resources}}


class UnlistedElsewhere(Modifier):
    """The service of which the check makes use is looked for where nobody listens."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Port 1 (tcpmux) is never handed out to anybody."""
        if policy.service != UNLISTED:
            return policy
        return replace(policy, endpoints=tuple(replace(each, port=1) for each in policy.endpoints))


seed(
    "discovery-left-over-at-the-caller",
    defect="The caller's security server keeps the way to a service that was withdrawn.",
    modifier=LeftOver(lambda server: server == CALLER),
    caught_by={"DISCOVERY-008": "left-the-caller"},
)
seed(
    "discovery-left-over-at-the-provider",
    defect="The provider's security server keeps the way to a service that was withdrawn.",
    modifier=LeftOver(lambda server: server != CALLER),
    caught_by={"DISCOVERY-008": "reached-the-service"},
)
seed(
    "discovery-route-without-cluster",
    defect="The caller's security server keeps the route to a service that was withdrawn, but not the cluster.",
    modifier=LeftOver(lambda server: server == CALLER, but=ResourceType.CLUSTER),
    caught_by={"DISCOVERY-008": "wrong-refusal"},
)
seed(
    "discovery-new-service-unreachable",
    defect="A service that was registered later is looked for where nobody listens.",
    modifier=UnlistedElsewhere(),
    caught_by={"DISCOVERY-008": undecided("registered-service-refused")},
)
