"""Failures made on purpose by the provider's security server, after every check of who calls and how often."""

from __future__ import annotations

from conformance.controlplane.rendering.clusters import seconds
from conformance.controlplane.rendering.paths import header_pattern
from conformance.controlplane.rendering.view import Resource
from conformance.model.policy import ServicePolicy

__all__ = ["fault_filter", "injected_faults"]

FILTER = "envoy.filters.http.fault"
NOTHING: Resource = {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"}


def fault_filter() -> Resource:
    """The filter; it does nothing where no service asks for failures."""
    return {"name": FILTER, "typed_config": NOTHING}


def injected_faults(policy: ServicePolicy, below: str) -> Resource:
    """The failures of a service, as configuration of the filter; or nothing."""
    wanted = policy.fault_injection
    if wanted is None:
        return {}
    fault = dict(NOTHING)
    if wanted.abort_status is not None:
        fault["abort"] = {"http_status": wanted.abort_status, "percentage": _share(wanted.abort_percent)}
    if wanted.delay_s is not None:
        fault["delay"] = {"fixed_delay": seconds(wanted.delay_s), "percentage": _share(wanted.delay_percent)}
    if wanted.match is not None:
        pattern = header_pattern(below, wanted.match)
        fault["headers"] = [{"name": ":path", "string_match": {"safe_regex": {"regex": pattern}}}]
    return {FILTER: fault}


def _share(percent: float) -> Resource:
    return {"numerator": round(percent * 10_000), "denominator": "MILLION"}
