"""Faults of circuit breaking: limits that are not kept, or kept for the wrong ones, and endpoints left in or out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import Edited, undecided
from conformance.faults.seeding import seed
from conformance.mesh import BYSTANDER, CALLER, WITNESS, Modifier, Resources
from conformance.model.policy import CircuitBreaker, Endpoint, ServicePolicy

APPLICATION = f"application-{WITNESS}"

UNBOUNDED = CircuitBreaker().requests

Cluster = dict[str, Any]


def on_application(change: Callable[[Cluster], None]) -> Edited:
    """Changes how the subject's security server deals with the witness."""

    def edit(_: str, resources: Resources) -> None:
        if APPLICATION in resources[ResourceType.CLUSTER]:
            change(resources[ResourceType.CLUSTER][APPLICATION])

    return Edited(edit)


def on_limits(change: Callable[[dict[str, int]], None]) -> Edited:
    """Changes the limits for the witness."""
    return on_application(lambda cluster: change(cluster["circuit_breakers"]["thresholds"][0]))


# ---------------------------------------------------------------------- limits


def no_limits(cluster: Cluster) -> None:
    """But Envoy's own."""
    del cluster["circuit_breakers"]


seed(
    "break-limits-lost",
    defect="The limits of a building block are not passed on.",
    modifier=on_application(no_limits),
    caught_by={"BREAK-001": "connection-limit-ignored", "BREAK-002": undecided("witness-not-full")},
)


def halve(limits: dict[str, int]) -> None:
    """Each of them."""
    for name in ("max_connections", "max_pending_requests", "max_requests"):
        limits[name] //= 2


seed(
    "break-limits-halved",
    defect="The limits are shared out among two security servers, of which there is only one.",
    modifier=on_limits(halve),
    caught_by={"BREAK-001": "refused-below-limit", "BREAK-002": undecided("witness-not-full")},
)


def endless_queue(limits: dict[str, int]) -> None:
    """Calls may wait."""
    limits["max_pending_requests"] = UNBOUNDED


seed(
    "break-endless-queue",
    defect="Any number of calls may wait for a connection.",
    modifier=on_limits(endless_queue),
    caught_by={"BREAK-001": "pending-limit-ignored"},
)


def endless_requests(limits: dict[str, int]) -> None:
    """Connections are limited, requests are not."""
    limits["max_requests"] = UNBOUNDED


seed(
    "break-requests-unlimited",
    defect="Connections to a building block are limited, but not requests.",
    modifier=on_limits(endless_requests),
    caught_by={"BREAK-001": "request-limit-ignored", "BREAK-002": undecided("witness-not-full")},
)


def keep_headers_back(_: str, resources: Resources) -> None:
    """The router, which is the last filter, marks nothing."""
    http = resources[ResourceType.LISTENER]["inbound"]["filter_chains"][0]["filters"][0]["typed_config"]
    http["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = True


seed(
    "break-overflow-unmarked",
    defect="The provider's security server keeps its x-envoy headers to itself.",
    modifier=Edited(keep_headers_back),
    caught_by={
        "BREAK-001": "overflow-unmarked",
        # The header that tells answers of the building block from those of the security server is gone, too.
        "API-003": undecided("generation-incomplete"),
        # And so is the path as the caller wrote it, which the access log shows.
        "AUTHZ-015": "caller-or-operation-missing",
    },
)


class WhileRequestsAreLimited(Edited):
    """An edit that is made as long as the witness's policy limits its requests."""

    def __init__(self, edit: Callable[[str, Resources], None]) -> None:
        super().__init__(edit)
        self._limited = False

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Unchanged, but looked at."""
        if policy.service == WITNESS:
            self._limited = policy.circuit_breaker.requests < UNBOUNDED
        return policy

    def resources(self, server: str, resources: Resources) -> Resources:
        """Edited, or not."""
        return super().resources(server, resources) if self._limited else resources


def eject_for_one_overflow(server: str, resources: Resources) -> None:
    """On the caller's side."""
    if server == CALLER:
        resources[ResourceType.CLUSTER][f"peer-{WITNESS}"]["outlier_detection"] = {
            "consecutive_5xx": 1,
            "base_ejection_time": "300s",
            "max_ejection_percent": 100,
        }


seed(
    "break-overflow-taken-for-death",
    defect="The caller's security server takes an overflow for the death of its peer, and leaves it out for minutes.",
    modifier=WhileRequestsAreLimited(eject_for_one_overflow),
    caught_by={"BREAK-001": "still-refused-afterwards"},
)


def share_a_cluster(_: str, resources: Resources) -> None:
    """All building blocks behind the subject's security server."""
    routes = resources.get(ResourceType.ROUTE, {})
    if f"inbound/{WITNESS}" in routes:
        for name, configuration in routes.items():
            for route in configuration["virtual_hosts"][0]["routes"] if name.startswith("inbound/") else ():
                route["route"]["cluster"] = APPLICATION


seed(
    "break-shared-limits",
    defect="All building blocks behind one security server share one circuit breaker.",
    modifier=WhileRequestsAreLimited(share_a_cluster),
    caught_by={"BREAK-002": "others-refused"},
)


class BystanderUnreachable(Modifier):
    """The bystander is looked for where nobody listens."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Port 1 (tcpmux) is never handed out to anybody."""
        return replace(policy, endpoints=(Endpoint("127.0.0.1", 1),)) if policy.service == BYSTANDER else policy


seed(
    "break-bystander-gone",
    defect="A building block that nobody changed is looked for where nobody listens.",
    modifier=BystanderUnreachable(),
    caught_by={
        "BREAK-002": undecided("others-refused-before"),
        "POLICY-004": undecided("caller-refused"),
        "POLICY-007": undecided("callers-refused"),
        # It is the second of the chain.
        "TRACE-003": undecided("chain-not-passed"),
        "TRACE-004": undecided("chain-not-passed"),
    },
)

# ---------------------------------------------------------------------- outliers


def on_outliers(change: Callable[[Cluster], None]) -> Edited:
    """Changes outlier detection, once there is one."""

    def on_cluster(cluster: Cluster) -> None:
        if "outlier_detection" in cluster:
            change(cluster)

    return on_application(on_cluster)


def no_detection(cluster: Cluster) -> None:
    """Nobody is ejected."""
    del cluster["outlier_detection"]


def one_failure(cluster: Cluster) -> None:
    """And out."""
    cluster["outlier_detection"]["consecutive_5xx"] = 1


def panic(cluster: Cluster) -> None:
    """As soon as one endpoint is ejected: all are called."""
    cluster["common_lb_config"]["healthy_panic_threshold"] = {"value": 100}


def panic_and_stop(cluster: Cluster) -> None:
    """As soon as one endpoint is ejected: none is called."""
    panic(cluster)
    cluster["common_lb_config"]["zone_aware_lb_config"] = {"fail_traffic_on_panic": True}


def for_minutes(cluster: Cluster) -> None:
    """Whatever was declared."""
    cluster["outlier_detection"]["base_ejection_time"] = "300s"


seed(
    "break-no-outlier-detection",
    defect="Failing endpoints are never left out.",
    modifier=on_outliers(no_detection),
    caught_by={"BREAK-003": "not-ejected-as-declared"},
)
seed(
    "break-ejected-for-one-failure",
    defect="An endpoint is left out after its first failure.",
    modifier=on_outliers(one_failure),
    caught_by={"BREAK-003": "not-ejected-as-declared"},
)
seed(
    "break-panic",
    defect="When one endpoint is ejected the security server panics and calls all of them again.",
    modifier=on_outliers(panic),
    caught_by={"BREAK-003": "ejected-endpoint-called"},
)
seed(
    "break-panic-and-stop",
    defect="When one endpoint is ejected the security server panics and refuses all calls.",
    modifier=on_outliers(panic_and_stop),
    caught_by={"BREAK-003": "healthy-endpoint-not-serving"},
)
seed(
    "break-ejected-for-minutes",
    defect="An ejected endpoint stays out for five minutes, whatever was declared.",
    modifier=on_outliers(for_minutes),
    caught_by={"BREAK-003": "never-readmitted"},
)
