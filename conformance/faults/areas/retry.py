"""Faults of retries: too few, too many, of the wrong calls, or unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.faults.areas.common import Edited, undecided
from conformance.faults.areas.route import Route, routes_of
from conformance.faults.seeding import patch, seed
from conformance.mesh import CALLER, Modifier, Resources
from conformance.model.policy import ServicePolicy

HTTP = "/filter_chains/0/filters/0/typed_config"


def on_outbound(change: Callable[[Route], None]) -> Edited:
    """Changes each route from the caller's security server towards the witness."""

    def edit(server: str, resources: Resources) -> None:
        if server == CALLER:
            for route in routes_of(resources, "outbound"):
                change(route)

    return Edited(edit)


def on_retries(change: Callable[[dict[str, Any]], None]) -> Edited:
    """Changes how calls of the witness are retried."""

    def on_route(route: Route) -> None:
        if "retry_policy" in route["route"]:
            change(route["route"]["retry_policy"])

    return on_outbound(on_route)


def no_retries(route: Route) -> None:
    """At all."""
    route["route"].pop("retry_policy", None)


seed(
    "retry-switched-off",
    defect="The caller's security server repeats nothing.",
    modifier=on_outbound(no_retries),
    caught_by={
        "RETRY-001": "declared-status-not-retried",
        "RETRY-002": "attempts-not-as-declared",
        "RETRY-003": undecided("repeatable-call-not-repeated"),
    },
)


def one_more(retries: dict[str, Any]) -> None:
    """Retry than declared."""
    retries["num_retries"] += 1


seed(
    "retry-once-more",
    defect="The number of retries is counted from zero, so there is one too many.",
    modifier=on_retries(one_more),
    caught_by={"RETRY-002": "attempts-not-as-declared"},
)


def said_to_be_500(flag: str) -> list[Any]:
    """Overlays: the provider's security server answers 500 instead of 503 for failures with this response flag."""
    mapper = {"filter": {"response_flag_filter": {"flags": [flag]}}, "status_code": 500}
    return [
        patch(
            "listener", "inbound", {"op": "add", "path": f"{HTTP}/local_reply_config", "value": {"mappers": [mapper]}}
        )
    ]


seed(
    "retry-reset-said-to-be-500",
    defect="A building block that resets its connection is reported as 500, which nobody declared retriable.",
    overlays=said_to_be_500("UC"),
    caught_by={"RETRY-001": "reset-not-retried"},
)
seed(
    "retry-refusal-said-to-be-500",
    defect="A building block that refuses connections is reported as 500, which nobody declared retriable.",
    overlays=said_to_be_500("UF"),
    caught_by={"RETRY-001": "refusal-not-retried"},
)
seed(
    "retry-attempts-not-told",
    defect="Building blocks are not told how many attempts were made.",
    overlays=[
        patch(
            "route",
            "outbound/*",
            {"op": "remove", "path": "/virtual_hosts/0/include_request_attempt_count"},
            server=CALLER,
        )
    ],
    caught_by={"RETRY-001": "attempts-not-told"},
)


class OneEndpoint(Modifier):
    """Of a building block's endpoints only one is passed on."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """The last one."""
        return replace(policy, endpoints=policy.endpoints[-1:])


seed(
    "retry-one-endpoint-only",
    defect="The control plane passes on only one endpoint of each building block.",
    modifier=OneEndpoint(),
    caught_by={
        "RETRY-001": undecided("refusal-not-met"),
        "BREAK-003": undecided("endpoints-not-both-used"),
        "DISCOVERY-001": "first-endpoint-forsaken",
        "DISCOVERY-002": undecided("endpoint-not-called"),
        "DISCOVERY-003": "turns-not-taken",
        "DISCOVERY-004": "share-not-kept",
        "DISCOVERY-005": undecided("endpoints-not-both-used"),
        "DISCOVERY-006": undecided("first-not-called"),
    },
)

seed(
    "retry-flags-unlogged",
    defect="The caller's access log leaves out why a call failed.",
    overlays=[
        patch(
            "listener",
            "outbound",
            {"op": "remove", "path": f"{HTTP}/access_log/0/typed_config/log_format/json_format/flags"},
            server=CALLER,
        )
    ],
    caught_by={"RETRY-002": "exhaustion-unreported", "ROUTE-001": "wrong-reason", "AUTHZ-009": "wrong-reason"},
)


def every_method(server: str, resources: Resources) -> None:
    """The retries of the repeatable methods for all the others, too."""
    if server == CALLER:
        routes = list(routes_of(resources, "outbound"))
        for route in routes:
            route["route"] = routes[0]["route"]


seed(
    "retry-every-method",
    defect="Calls are repeated whatever their method.",
    modifier=Edited(every_method),
    caught_by={"RETRY-003": "unsafe-method-repeated"},
)


def conflicts_too(retries: dict[str, Any]) -> None:
    """A 409 may pass, somebody thought."""
    retries["retry_on"] += ",retriable-4xx"


seed(
    "retry-conflicts",
    defect="Calls answered 409 are repeated.",
    modifier=on_retries(conflicts_too),
    caught_by={"RETRY-003": "client-error-repeated"},
)

EVERYBODY = [{"address_prefix": "0.0.0.0", "prefix_len": 0}]

seed(
    "retry-callers-trusted",
    defect="The calling application counts as internal, so its x-envoy headers steer retries.",
    overlays=[
        patch(
            "listener",
            "outbound",
            {"op": "replace", "path": f"{HTTP}/internal_address_config/cidr_ranges", "value": EVERYBODY},
            server=CALLER,
        )
    ],
    caught_by={"RETRY-003": "repeated-at-callers-wish"},
)
