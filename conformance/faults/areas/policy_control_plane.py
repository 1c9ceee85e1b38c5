"""Faults of a control plane: it tells servers what does not concern them, or comes back with something else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import Reference, Resource, ResourceType, encode
from conformance.controlplane.snapshot import Change
from conformance.faults.areas.policy import Routes, closed, open_to_everybody, routes_in, with_inbound_routes
from conformance.faults.seeding import seed
from conformance.mesh import WITNESS, Modifier, Resources
from conformance.model.policy import ServicePolicy


class EverybodyIsTold(Behaviour):
    """Every change makes the control plane send something to every security server."""

    def targets(self, node_id: str, all_nodes: Collection[str]) -> Collection[str]:
        """All of them."""
        return all_nodes


class Told(Modifier):
    """A control plane with this behaviour."""

    def __init__(self, behaviour: Callable[[], Behaviour]) -> None:
        self._new = behaviour

    def behaviour(self) -> Behaviour:
        """A new one for each control plane."""
        return self._new()


class RevisionEverywhere(Modifier):
    """Whoever may call a service is sent a new route with each change of its policy, whatever the change is about."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Unchanged, but remembered."""
        self._versions[policy.service] = policy.version
        return policy

    def resources(self, server: str, resources: Resources) -> Resources:
        """Outbound routes carry the revision of the whole policy."""
        named = copy.deepcopy(resources.get(ResourceType.ROUTE, {}))
        for route in routes_in(named, "outbound/"):
            route["metadata"]["filter_metadata"]["revision"] = {"policy": self._versions[route["name"]]}
        return {**resources, ResourceType.ROUTE: named}


seed(
    "policy-everybody-is-told",
    defect="The control plane answers every change by sending something to every security server.",
    modifier=Told(EverybodyIsTold),
    caught_by={"POLICY-004": "others-updated"},
)
seed(
    "policy-revision-everywhere",
    defect="The revision of a service's whole policy stands in the routes of all who may call the service.",
    modifier=RevisionEverywhere(),
    caught_by={"POLICY-004": "others-updated"},
)


class Farewell(Modifier):
    """Before the control plane stops it sends changed routes to every security server."""

    def __init__(self, change: Callable[[Routes], None]) -> None:
        self._change = change

    def farewell(self, server: str, resources: Resources) -> Resources:
        """With changed routes."""
        return with_inbound_routes(resources, self._change)


class Deaf(Behaviour):
    """What is changed while the control plane is stopped is forgotten; what it begins with is not."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """Nothing, if it has begun with this node and is stopped."""
        lost = not running and node_id in self._begun
        self._begun.add(node_id)
        return () if lost else (change,)


class Successor(Behaviour):
    """A control plane that takes over begins with other routes than it was told; a change sets them right.

    One takes over if it is told everything before it runs; the first of a mesh runs before it is told anything.
    """

    def __init__(self, begin_with: Callable[[Resource], Resource]) -> None:
        self._begin_with = begin_with
        self._begun: set[str] = set()
        self.oldest: dict[Reference, Resource] = {}

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """The first change of each node is another one, if it is told before the start."""
        inbound = {key: told for key, told in change.changed.items() if key[1].startswith("inbound/")}
        routes = {key: told for key, told in inbound.items() if key[0] is ResourceType.ROUTE}
        self.oldest = {**routes, **self.oldest}
        if not running and node_id not in self._begun:
            others = {key: self._begin_with(told) for key, told in routes.items()}
            change = Change({**change.changed, **others}, change.removed)
        self._begun.add(node_id)
        return (change,)


class Backup(Modifier):
    """A control plane that takes over begins with the oldest routes that its predecessor has had."""

    def __init__(self) -> None:
        self._predecessor: Successor | None = None

    def behaviour(self) -> Behaviour:
        """Each remembers for the next one."""
        oldest = self._predecessor.oldest if self._predecessor else {}
        self._predecessor = Successor(lambda told: oldest.get((told.type, told.name), told))
        return self._predecessor


def without_rules(told: Resource) -> Resource:
    """The same routes, but nobody may call the witness."""
    fields = {name: value for name, value in told.fields().items() if name != "@type"}
    for route in fields["virtual_hosts"][0].get("routes", []):
        if route["name"] == WITNESS:
            closed(route)
    return encode(ResourceType.ROUTE, told.name, fields)


seed(
    "policy-open-without-control-plane",
    defect="Before the control plane stops it lets everybody through, so that nobody depends on it.",
    modifier=Farewell(open_to_everybody),
    caught_by={"POLICY-006": "denied-not-refused"},
)
seed(
    "policy-closed-without-control-plane",
    defect="Before the control plane stops it withdraws all access rules.",
    modifier=Farewell(closed),
    caught_by={"POLICY-006": "allowed-not-served"},
)
seed(
    "policy-change-lost-while-down",
    defect="A change that is made while the control plane is stopped is forgotten.",
    modifier=Told(Deaf),
    caught_by={"POLICY-006": "change-lost"},
)
seed(
    "policy-successor-from-a-backup",
    defect="A control plane that takes over begins with the policies of an old backup.",
    modifier=Backup(),
    caught_by={"POLICY-006": "other-policy-decided"},
)
seed(
    "policy-successor-without-rules",
    defect="A control plane that takes over begins before it has read the access rules.",
    modifier=Told(lambda: Successor(without_rules)),
    caught_by={"POLICY-006": "call-lost"},
)
