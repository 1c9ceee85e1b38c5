"""Faults of the authentication service in the path of calls: not asked, not obeyed, not missed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.authn.behaviour import Behaviour
from conformance.authn.call import Call, Decision, Direction
from conformance.authn.decision_log import Line
from conformance.authn.reasons import Reason
from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.authz import HTTP
from conformance.faults.areas.common import CALL_FIELDS, DISABLED, FILTER, UNGUARDED, Edited, undecided
from conformance.faults.seeding import patch, seed
from conformance.mesh import CALLER, WITNESS, Modifier, Resources

SETTINGS = f"{HTTP}/http_filters/2/typed_config"
"""Where the filter that asks stands among those of the listener for peers; at applications' it is one place before."""
OUTBOUND_SETTINGS = f"{HTTP}/http_filters/1/typed_config"
ASKS = {"op": "test", "path": f"{HTTP}/http_filters/2/name", "value": FILTER}
OUTBOUND_ASKS = {"op": "test", "path": f"{HTTP}/http_filters/1/name", "value": FILTER}


class Misbehaving(Modifier):
    """An authentication service with a defect."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def decisions(self) -> Behaviour:
        """The same for the whole run."""
        return self._behaviour


# ---------------------------------------------------------------------- not asked

seed(
    "authz-service-not-asked",
    defect="The listener for peers has no filter that asks the authentication service.",
    overlays=[patch("listener", "inbound", ASKS, {"op": "remove", "path": f"{HTTP}/http_filters/2"})],
    caught_by={
        "AUTHZ-006": "forgery-forwarded",
        "POLICY-013": undecided("not-asked"),
        "AUTHZ-007": "forwarded-unasked",
        "AUTHZ-009": undecided("known-caller-refused"),
        "AUTHZ-010": undecided("known-caller-refused"),
        "AUTHZ-015": undecided("known-caller-refused"),
        **UNGUARDED,
    },
)

seed(
    "authz-service-not-asked-outbound",
    defect="The listener for applications has no filter that asks the authentication service.",
    overlays=[
        patch("listener", "outbound", OUTBOUND_ASKS, {"op": "remove", "path": f"{HTTP}/http_filters/1"}, server=CALLER)
    ],
    caught_by={"AUTHZ-007": "forwarded-unasked", "AUTHZ-009": "wrong-reason"},
)


def excepted(match: Mapping[str, Any]) -> Modifier:
    """Some calls of the witness take a route of their own, on which the service is not asked."""

    def edit(_: str, resources: Resources) -> None:
        for host in resources.get(ResourceType.ROUTE, {}).get(f"inbound/{WITNESS}", {}).get("virtual_hosts", ()):
            routes: list[dict[str, Any]] = []
            for route in host["routes"]:
                if route["match"] == {"prefix": f"/{WITNESS}/"}:
                    # Just before the whole service: routes of a part of it are not the ones at fault.
                    special = copy.deepcopy(route)
                    special["match"] |= match
                    special["typed_per_filter_config"][FILTER] = DISABLED
                    routes.append(special)
                routes.append(route)
            host["routes"] = routes

    return Edited(edit)


READING = {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD|OPTIONS"}}}]}

seed(
    "authz-service-not-asked-about-reading",
    defect="The authentication service is asked about changes only, not about reading.",
    modifier=excepted(READING),
    caught_by={
        "POLICY-013": undecided("not-asked"),
        "AUTHZ-006": "forgery-forwarded",
        "AUTHZ-007": "forwarded-unasked",
        "AUTHZ-009": undecided("known-caller-refused"),
        "AUTHZ-010": undecided("known-caller-refused"),
        "AUTHZ-015": undecided("known-caller-refused"),
        **UNGUARDED,
    },
)

seed(
    "authz-service-not-asked-everywhere",
    defect="A special route was added, and the filter that asks was switched off on it.",
    modifier=excepted({"prefix": f"/{WITNESS}/asked/"}),
    caught_by={"AUTHZ-007": "forwarded-unasked", "AUTHZ-008": "call-forwarded"},
)

# ---------------------------------------------------------------------- not obeyed


class LetsThrough(Behaviour):
    """Finds these reasons to refuse a call, and allows it."""

    def __init__(self, *reasons: Reason) -> None:
        self._reasons = reasons

    def decide(self, call: Call, decision: Decision) -> Decision:
        """Allowed, if it was for one of them."""
        return replace(decision, reason=Reason.ALLOWED) if decision.reason in self._reasons else decision


seed(
    "authz-service-allows-everything",
    defect="The authentication service finds reasons to refuse calls and allows them all.",
    modifier=Misbehaving(LetsThrough(*Reason)),
    caught_by={"AUTHZ-015": undecided("known-caller-refused"), **UNGUARDED},
)

seed(
    "authz-service-answer-disguised",
    defect="Whoever the authentication service refuses is told that there is nothing.",
    overlays=[
        patch(
            "listener",
            "inbound",
            {
                "op": "add",
                "path": f"{HTTP}/local_reply_config",
                "value": {
                    "mappers": [{"filter": {"response_flag_filter": {"flags": ["UAEX"]}}, "status_code": 404}],
                },
            },
        )
    ],
    caught_by={
        "AUTHZ-008": "wrong-status",
        "AUTHZ-009": "wrong-status",
        "AUTHZ-010": "wrong-status",
        "AUTHZ-012": "wrong-reason",
        "AUTHZ-013": "wrong-reason",
        "AUTHZ-014": "wrong-reason",
        "AUTHZ-015": undecided("known-caller-refused"),
    },
)

# ---------------------------------------------------------------------- no answer

OPEN = {"op": "replace", "path": f"{SETTINGS}/failure_mode_allow", "value": True}
OUTBOUND_OPEN = {"op": "replace", "path": f"{OUTBOUND_SETTINGS}/failure_mode_allow", "value": True}

seed(
    "authz-service-missed-by-nobody",
    defect="While the authentication service cannot be asked, calls are let through.",
    overlays=[patch("listener", "inbound", ASKS, OPEN), patch("listener", "outbound", OUTBOUND_ASKS, OUTBOUND_OPEN)],
    caught_by={"AUTHZ-009": "call-forwarded", "AUTHZ-010": "call-forwarded"},
)

seed(
    "authz-service-absence-excused",
    defect="While the authentication service cannot be asked, callers are told to try again later.",
    overlays=[
        patch(
            "listener",
            "inbound",
            ASKS,
            {"op": "replace", "path": f"{SETTINGS}/status_on_error", "value": {"code": "ServiceUnavailable"}},
        )
    ],
    caught_by={"AUTHZ-009": "wrong-status", "AUTHZ-010": "wrong-status"},
)

seed(
    "authz-service-waited-for",
    defect="There is no limit to the time for which the authentication service may keep a call waiting.",
    overlays=[
        patch(
            "listener",
            "inbound",
            ASKS,
            {"op": "replace", "path": f"{SETTINGS}/grpc_service/timeout", "value": "3600s"},
        )
    ],
    caught_by={"AUTHZ-010": "caller-kept-waiting"},
)

ONE = {"max_requests": 1, "max_pending_requests": 1}

seed(
    "authz-service-asked-one-question-at-a-time",
    defect="Only one question to the authentication service may be open; calls beside it are refused at once.",
    overlays=[
        patch(
            "cluster",
            "authentication-service",
            {"op": "add", "path": "/circuit_breakers", "value": {"thresholds": [ONE]}},
        )
    ],
    caught_by={"AUTHZ-010": "not-by-timeout"},
)

seed(
    "authz-flags-not-logged",
    defect="The access log does not say in which way a call failed.",
    overlays=[patch("listener", "inbound", {"op": "remove", "path": f"{CALL_FIELDS}/flags"})],
    caught_by={
        "AUTHZ-008": "wrong-reason",
        "AUTHZ-009": "wrong-reason",
        "AUTHZ-010": "wrong-reason",
        "AUTHZ-012": "wrong-reason",
        "AUTHZ-013": "wrong-reason",
        "AUTHZ-014": "wrong-reason",
        "RETRY-001": undecided("refusal-not-met"),
        "BREAK-001": "overflow-unmarked",
        "BREAK-002": undecided("witness-not-full"),
    },
)


class AnswersOnce(Behaviour):
    """Says yes to the same call behind the witness once, under each policy."""

    PATH = f"/{WITNESS}/while-asking"

    def __init__(self) -> None:
        self._answered: set[str] = set()

    def decide(self, call: Call, decision: Decision) -> Decision:
        """The second time it is too much."""
        if call.direction != Direction.INBOUND or call.path != self.PATH:
            return decision
        again = decision.policy in self._answered
        self._answered.add(decision.policy)
        return replace(decision, reason=Reason.INTERNAL_ERROR) if again else decision


seed(
    "authz-service-answers-once",
    defect="The authentication service lets a call through once, and is exhausted then.",
    modifier=Misbehaving(AnswersOnce()),
    caught_by=dict.fromkeys(["AUTHZ-009", "AUTHZ-010"], undecided("not-served-afterwards")),
)

# ---------------------------------------------------------------------- identities


class KeepsForgeries(Behaviour):
    """Writes no identity header and removes none."""

    def headers(self, call: Call, headers: Mapping[str, str]) -> Mapping[str, str]:
        """What came in stays."""
        return {}


seed(
    "authz-service-keeps-forged-headers",
    defect="The authentication service leaves identity headers as they come in.",
    modifier=Misbehaving(KeepsForgeries()),
    caught_by={"AUTHZ-006": "forgery-forwarded"},
)


class MemberNeverLosesAService(Modifier):
    """What a member may once address it may address for ever, at its security server and by the authentication
    service.
    """

    def __init__(self) -> None:
        self._known: dict[str, Resources] = {}

    def decisions(self) -> Behaviour:
        """The service agrees."""
        return LetsThrough(Reason.NOT_CALLED_FROM_HERE)

    def resources(self, server: str, resources: Resources) -> Resources:
        """What was there before and is there no more, as far as it leads to other security servers, comes back."""
        kept = self._known.setdefault(server, {})
        for kind, named in resources.items():
            lasting = {name: each for name, each in named.items() if name.startswith(("outbound/", "peer-"))}
            kept.setdefault(kind, {}).update(lasting)
        return {kind: kept.get(kind, {}) | resources.get(kind, {}) for kind in {**kept, **resources}}


seed(
    "authz-member-never-loses-a-service",
    defect="What is taken away from the services that a member may address stays with it.",
    modifier=MemberNeverLosesAService(),
    caught_by={
        "AUTHZ-011": "unlisted-call-forwarded",
        "POLICY-012": "wrong-refusal",
        "DISCOVERY-008": "left-the-caller",
    },
)

seed(
    "authz-upstream-unnamed",
    defect="The access log does not say whom a call was entrusted to.",
    overlays=[patch("listener", "outbound", {"op": "remove", "path": f"{CALL_FIELDS}/upstream_identity"})],
    caught_by={"AUTHZ-011": "upstream-identity-not-seen"},
)

# ---------------------------------------------------------------------- accounts


class NamesNoOperation(Behaviour):
    """Notes who and why, but not what."""

    def note(self, call: Call, line: Line) -> Line:
        """Without the operation."""
        return replace(line, operation="")


seed(
    "authz-operation-not-noted",
    defect="The decision log does not say what the decision was about.",
    modifier=Misbehaving(NamesNoOperation()),
    caught_by={"AUTHZ-007": "asked-about-something-else", "AUTHZ-015": "caller-or-operation-missing"},
)


class NotesEverything(Behaviour):
    """Notes the call with all that it holds."""

    def note(self, call: Call, line: Line) -> Line:
        """The token in place of a correlation id that nobody sent."""
        return replace(line, correlation_id=call.headers.get("authorization", line.correlation_id))


seed(
    "authz-token-noted",
    defect="The decision log holds the bearer tokens of the calls.",
    modifier=Misbehaving(NotesEverything()),
    caught_by={"AUTHZ-015": "secret-logged"},
)

seed(
    "authz-query-logged",
    defect="The access log holds the query of each call.",
    overlays=[
        patch(
            "listener",
            "inbound",
            {"op": "add", "path": f"{CALL_FIELDS}/target", "value": "%REQ(:PATH)%"},
        )
    ],
    caught_by={"AUTHZ-015": "secret-logged"},
)

WITHOUT_TOKEN = {"header_filter": {"header": {"name": "authorization", "present_match": False}}}

seed(
    "authz-calls-with-tokens-not-logged",
    defect="Calls with a token are left out of the access log, so that no token can get into it.",
    overlays=[
        patch("listener", "inbound", {"op": "add", "path": f"{HTTP}/access_log/0/filter", "value": WITHOUT_TOKEN})
    ],
    caught_by={
        "AUTHZ-012": "wrong-reason",
        "AUTHZ-013": "wrong-reason",
        "AUTHZ-014": "wrong-reason",
        "AUTHZ-015": "decision-not-logged",
    },
)

seed(
    "authz-rule-not-logged",
    defect="The access log does not say by which rule a call was let through.",
    overlays=[patch("listener", "inbound", {"op": "remove", "path": f"{CALL_FIELDS}/rule"})],
    caught_by={"AUTHZ-015": "reason-missing"},
)

seed(
    "authz-service-reason-not-logged",
    defect="The access log does not say what the authentication service had against a call.",
    overlays=[patch("listener", "inbound", {"op": "remove", "path": f"{CALL_FIELDS}/authentication"})],
    caught_by={
        "AUTHZ-008": "wrong-reason",
        "AUTHZ-012": "wrong-reason",
        "AUTHZ-013": "wrong-reason",
        "AUTHZ-014": "wrong-reason",
        "AUTHZ-015": "reason-missing",
    },
)
