"""Faults that belong to no area: they take away what the checks of many areas stand on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

from conformance.faults.seeding import Caught, patch, seed
from conformance.mesh import WITNESS, Modifier, Resources
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.model.verdict import Verdict

FILTER = "envoy.filters.http.ext_authz"
"""The filter that asks the authentication service."""
DISABLED = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
    "disabled": True,
}
"""For a route on which it does not ask."""
UNGUARDED: dict[str, str | Caught] = {
    "AUTHZ-008": "call-forwarded",
    "AUTHZ-012": "missing-let-through",
    "AUTHZ-013": "unsigned-let-through",
    "AUTHZ-014": "old-key-still-good",
}
"""What follows where the authentication service is asked in vain."""
CALL_FIELDS = "/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/log_format/json_format"


def undecided(reason: str) -> Caught:
    """A positive control failed, for this reason."""
    return Caught(reason, Verdict.INCONCLUSIVE)


class Edited(Modifier):
    """Resources changed by a function, in place on a copy; it is told whose they are."""

    def __init__(self, edit: Callable[[str, Resources], None]) -> None:
        self._edit = edit

    def resources(self, server: str, resources: Resources) -> Resources:
        """After the edit."""
        edited = copy.deepcopy(resources)
        self._edit(server, edited)
        return edited


class WitnessUnreachable(Modifier):
    """The witness is looked for where nobody listens."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Port 1 (tcpmux) is never handed out to anybody."""
        if policy.service != WITNESS:
            return policy
        nowhere = tuple(Endpoint(endpoint.host, 1) for endpoint in policy.endpoints)
        return replace(policy, endpoints=nowhere)


seed(
    "common-witness-unreachable",
    defect="The security server looks for the witness where nobody listens.",
    modifier=WitnessUnreachable(),
    caught_by=dict.fromkeys(
        [
            *(f"MTLS-{number:03}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 10)),
            *(f"AUTHZ-{number:03}" for number in (1, 2, *range(4, 16))),
        ],
        undecided("known-caller-refused"),
    )
    | {"TOPOLOGY-006": undecided("registered-service-unreachable")}
    | {
        "MTLS-009": undecided("honest-upstream-not-reached"),
        "AUTHZ-003": undecided("allowed-path-refused"),
    }
    | {
        "ROUTE-001": undecided("known-service-unreachable"),
        "ROUTE-002": undecided("plain-call-failed"),
        "ROUTE-003": undecided("plain-call-failed"),
        "RETRY-001": undecided("plain-call-failed"),
        "RETRY-002": undecided("plain-call-failed"),
        "RETRY-003": undecided("repeatable-call-not-repeated"),
        "BREAK-001": undecided("plain-call-failed"),
        "BREAK-002": undecided("witness-not-full"),
        "BREAK-003": undecided("endpoints-not-both-used"),
    }
    | {
        "POLICY-001": undecided("callers-refused"),
        "POLICY-002": undecided("known-caller-refused"),
        "POLICY-003": undecided("caller-refused"),
        "POLICY-004": undecided("caller-refused"),
        "POLICY-005": undecided("caller-refused"),
        "POLICY-006": undecided("caller-refused"),
        "POLICY-007": undecided("callers-refused"),
        "POLICY-008": undecided("caller-unlike-policy"),
        "POLICY-009": undecided("callers-unlike-policy"),
        "POLICY-010": undecided("caller-refused"),
        "POLICY-011": undecided("policies-alike"),
        "POLICY-012": undecided("caller-refused"),
        "POLICY-013": undecided("caller-refused"),
        "POLICY-015": undecided("caller-refused"),
    }
    | dict.fromkeys([f"DISCOVERY-{number:03}" for number in (1, 3, 4, 5, 6)], undecided("caller-refused"))
    | {"DISCOVERY-002": undecided("endpoint-not-called")}
    | dict.fromkeys(["TRACE-001", "TRACE-002", "TRACE-005", "TRACE-006"], undecided("plain-call-failed"))
    | dict.fromkeys(["TRACE-003", "TRACE-004"], undecided("chain-not-passed"))
    | dict.fromkeys(["API-002", "API-003"], undecided("mesh-unusable")),
)

seed(
    "common-decisions-unmarked",
    defect="The access log does not say which policy decided about a call.",
    overlays=[patch("listener", "inbound", {"op": "remove", "path": f"{CALL_FIELDS}/policy"})],
    caught_by=dict.fromkeys([f"AUTHZ-{number:03}" for number in (2, 3, 4, 5)], undecided("rules-not-in-force"))
    | dict.fromkeys(
        ["ROUTE-003", "RETRY-001", "RETRY-002", "BREAK-001", "BREAK-002", "BREAK-003"]
        + [f"AUTHZ-{number:03}" for number in range(6, 16)]
        + [f"DISCOVERY-{number:03}" for number in (3, 4, 5, 6)],
        undecided("policy-not-in-force"),
    )
    | {
        "DISCOVERY-001": undecided("change-not-in-force"),
        "DISCOVERY-002": undecided("change-not-in-force"),
        "POLICY-001": undecided("callers-refused"),
        "POLICY-002": undecided("not-refused-before"),
        "POLICY-003": undecided("change-not-in-force"),
        "POLICY-004": undecided("change-not-in-force"),
        "POLICY-005": undecided("change-not-in-force"),
        "POLICY-006": undecided("caller-refused"),
        "POLICY-007": undecided("callers-refused"),
        "POLICY-008": undecided("caller-unlike-policy"),
        "POLICY-009": undecided("callers-unlike-policy"),
        "POLICY-010": undecided("caller-refused"),
        "POLICY-011": undecided("policies-alike"),
        "POLICY-013": undecided("change-not-in-force"),
        "POLICY-014": undecided("never-served"),
        "POLICY-015": undecided("caller-refused"),
        "POLICY-016": undecided("change-not-in-force"),
    },
)
