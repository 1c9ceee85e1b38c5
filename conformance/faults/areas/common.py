"""Faults that belong to no area: they take away what the checks of many areas stand on."""

from __future__ import annotations

from dataclasses import replace

from conformance.faults.seeding import Caught, patch, seed
from conformance.mesh import WITNESS, Modifier
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.model.verdict import Verdict

CALL_FIELDS = "/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/log_format/json_format"


def undecided(reason: str) -> Caught:
    """A positive control failed, for this reason."""
    return Caught(reason, Verdict.INCONCLUSIVE)


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
            "AUTHZ-001",
            "AUTHZ-002",
        ],
        undecided("known-caller-refused"),
    )
    | {
        "MTLS-009": undecided("honest-upstream-not-reached"),
        "AUTHZ-003": undecided("allowed-path-refused"),
    },
)

seed(
    "common-decisions-unmarked",
    defect="The access log does not say which policy decided about a call.",
    overlays=[patch("listener", "inbound", {"op": "remove", "path": f"{CALL_FIELDS}/policy"})],
    caught_by=dict.fromkeys(["AUTHZ-002", "AUTHZ-003"], undecided("rules-not-in-force")),
)
