"""Faults of policy propagation: rules that get lost, go astray, come too late or tear something down."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import undecided
from conformance.faults.seeding import Caught, seed
from conformance.mesh import CALLER, Modifier, Resources
from conformance.model.policy import ServicePolicy
from conformance.model.verdict import Verdict

RULES = "envoy.filters.http.rbac"
Routes = dict[str, Any]


class Between(Modifier):
    """The control plane makes something else of a change: `made` gets the policy before and the changed one."""

    def __init__(self, made: Callable[[ServicePolicy, ServicePolicy], ServicePolicy]) -> None:
        self._make = made
        self._made: dict[str, ServicePolicy] = {}
        self._latest: dict[str, ServicePolicy] = {}

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """The same for the same version, however often it is asked for."""
        if policy.version not in self._made:
            before = self._latest.get(policy.service, policy)
            self._made[policy.version] = self._make(before, policy)
        self._latest[policy.service] = made = self._made[policy.version]
        return made


def first_removed(before: ServicePolicy, policy: ServicePolicy) -> bool:
    """Of several rules the first was removed."""
    return len(before.access) > 1 and policy.access == before.access[1:]


def put_first(before: ServicePolicy, policy: ServicePolicy) -> bool:
    """A rule was put before all others."""
    return len(policy.access) > 1 and policy.access[1:] == before.access


def put_last(before: ServicePolicy, policy: ServicePolicy) -> bool:
    """A rule was put after all others."""
    return len(policy.access) > 1 and policy.access[:-1] == before.access


seed(
    "policy-removal-ignored",
    defect="The removal of one rule among several is not passed on.",
    modifier=Between(lambda before, policy: before if first_removed(before, policy) else policy),
    caught_by={"POLICY-001": "not-enforced", "POLICY-015": "not-enforced"},
)
seed(
    "policy-removal-of-the-wrong-rule",
    defect="Rules are removed by position, from the wrong end of the list.",
    modifier=Between(
        lambda before, policy: replace(policy, access=before.access[:-1]) if first_removed(before, policy) else policy
    ),
    caught_by={"POLICY-001": "still-let-through", "POLICY-015": "not-enforced"},
)
seed(
    "policy-removal-of-all-rules",
    defect="With one rule of a service all of its rules are removed.",
    modifier=Between(lambda before, policy: replace(policy, access=()) if first_removed(before, policy) else policy),
    caught_by={"POLICY-001": Caught("other-caller-refused", Verdict.INCONCLUSIVE)},
)
seed(
    "policy-grant-ignored",
    defect="A rule put before the others is not passed on.",
    modifier=Between(lambda before, policy: before if put_first(before, policy) else policy),
    caught_by={
        "POLICY-002": "not-enforced",
        "POLICY-009": undecided("change-not-in-force"),
        "POLICY-015": undecided("caller-refused"),
    },
)
seed(
    "policy-grant-without-effect",
    defect="A rule put before the others is written into the policy and left out of the configuration.",
    modifier=Between(
        lambda before, policy: replace(policy, access=before.access) if put_first(before, policy) else policy
    ),
    caught_by={"POLICY-002": "still-refused", "POLICY-015": undecided("caller-refused")},
)
seed(
    "policy-added-rule-replaces-the-others",
    defect="A rule that is added takes the place of those that were there.",
    modifier=Between(
        lambda before, policy: replace(policy, access=policy.access[-1:]) if put_last(before, policy) else policy
    ),
    caught_by={
        "POLICY-001": Caught("callers-refused", Verdict.INCONCLUSIVE),
        "POLICY-005": "call-lost",
        "POLICY-006": "call-lost",
        "POLICY-015": undecided("caller-refused"),
    },
)


def with_inbound_routes(resources: Resources, change: Callable[[Routes], None]) -> Resources:
    """These resources with changed routes from the security server to its building blocks."""
    named = copy.deepcopy(resources.get(ResourceType.ROUTE, {}))
    for route in routes_in(named, "inbound/"):
        change(route)
    return {**resources, ResourceType.ROUTE: named}


def routes_in(named: Mapping[str, Any], prefix: str) -> Iterator[Routes]:
    """The routes of all route configurations whose names begin so."""
    for name, configuration in named.items():
        if name.startswith(prefix):
            yield from configuration["virtual_hosts"][0]["routes"]


def rules_of(route: Routes) -> dict[str, Any]:
    """The access rules of a route, to be changed."""
    rules: dict[str, Any] = route["typed_per_filter_config"][RULES]["rbac"]["rules"]["policies"]
    return rules


def open_to_everybody(route: Routes) -> None:
    """One rule that lets everybody do everything."""
    rules_of(route)["everybody"] = {"permissions": [{"any": True}], "principals": [{"any": True}]}


def closed(route: Routes) -> None:
    """No rule at all."""
    rules_of(route).clear()


class OnRoutes(Modifier):
    """Changes each route to a building block."""

    def __init__(self, change: Callable[[Routes], None]) -> None:
        self._change = change

    def resources(self, server: str, resources: Resources) -> Resources:
        """With changed routes."""
        return with_inbound_routes(resources, self._change)


def answer_instead_of_rules(route: Routes) -> None:
    """A fixed refusal, if rules without restrictions are left, but none for the calling application."""
    rules = rules_of(route)
    unrestricted = all(rule["permissions"] == [{"any": True}] for rule in rules.values())
    if rules and unrestricted and f"/{CALLER}" not in json.dumps(rules):
        open_to_everybody(route)
        del route["route"]
        route["direct_response"] = {"status": 403}


def mirrored_when_slow(route: Routes) -> None:
    """Calls are repeated in the background for services with a long time limit."""
    if float(route["route"]["timeout"].rstrip("s")) > 15:
        route["route"]["request_mirror_policies"] = [{"cluster": route["route"]["cluster"]}]


seed(
    "policy-refusal-by-a-fixed-answer",
    defect="A service from which the calling application is shut out answers everybody with a fixed 403.",
    modifier=OnRoutes(answer_instead_of_rules),
    caught_by={
        "POLICY-001": "wrong-refusal",
        "POLICY-002": Caught("known-caller-refused", Verdict.INCONCLUSIVE),
        "POLICY-003": "wrong-refusal",
        "POLICY-011": undecided("policies-alike"),
        "POLICY-015": "not-enforced",
        # Its third call comes from somebody else, whose rule is the only one.
        "TRACE-003": undecided("chain-not-passed"),
        "TRACE-004": undecided("chain-not-passed"),
    },
)
seed(
    "policy-mirrored-calls",
    defect="A longer time limit switches on a mirror that was meant for a trial.",
    modifier=OnRoutes(mirrored_when_slow),
    # The calls that an endpoint is to hold are given more time, too.
    caught_by={"POLICY-005": "call-repeated", "DISCOVERY-002": undecided("endpoint-not-called")},
)


class RestartsForIdentities(Between):
    """Another process takes a security server's place when the first rule of a service names somebody else."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self._due = False

    def _note(self, before: ServicePolicy, policy: ServicePolicy) -> ServicePolicy:
        self._due |= [rule.caller for rule in before.access[:1]] != [rule.caller for rule in policy.access[:1]]
        return policy

    def restarts(self, server: str) -> bool:
        """Once for each such change."""
        due, self._due = self._due, False
        return due


seed(
    "policy-restart-for-a-change",
    defect="A change of who stands first in a service's access rules replaces the process of the security server.",
    modifier=RestartsForIdentities(),
    caught_by={
        "POLICY-001": "restarted",
        "POLICY-002": "restarted",
        "POLICY-003": "still-refused",
        "POLICY-009": undecided("change-not-in-force"),
        "POLICY-015": undecided("caller-refused"),
    },
)


class RulesWithTheConnection(Modifier):
    """Whoever offers HTTP/1.1 gets the rules that stood in the listener when the connection was opened."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """With a second filter chain for them; the callers' own security servers offer HTTP/2 only."""
        rules = {}
        for route in routes_in(resources.get(ResourceType.ROUTE, {}), "inbound/"):
            service = {"url_path": {"path": {"prefix": f"/{route['name']}/"}}}
            for name, rule in rules_of(route).items():
                permissions = {"and_rules": {"rules": [service, *rule["permissions"]]}}
                rules[name] = {**rule, "permissions": [permissions]}
        listeners = resources[ResourceType.LISTENER]
        inbound = copy.deepcopy(listeners["inbound"])
        chain = copy.deepcopy(inbound["filter_chains"][0])
        chain |= {"name": "inbound-http1", "filter_chain_match": {"application_protocols": ["http/1.1"]}}
        access = chain["filters"][0]["typed_config"]["http_filters"][0]
        access["name"] = "rules-of-the-connection"
        access["typed_config"]["rules"]["policies"] = rules
        inbound["filter_chains"].append(chain)
        inbound["listener_filters"] = [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
                },
            }
        ]
        return {**resources, ResourceType.LISTENER: {**listeners, "inbound": inbound}}


seed(
    "policy-rules-with-the-connection",
    defect="For clients that offer HTTP/1.1 the rules come with the listener: an open connection keeps the old ones.",
    modifier=RulesWithTheConnection(),
    caught_by={
        "POLICY-003": "still-let-through",
        "POLICY-012": "wrong-refusal",
        "POLICY-015": undecided("caller-refused"),
        "AUTHZ-002": "other-caller-let-through",
    },
)
