"""Faults of where things stand: ways round the security servers, and destinations that nobody registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.checks.topology.destinations import OUTSIDE_PATH
from conformance.controlplane.rendering.routes import scope
from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import Edited, WitnessUnreachable, undecided
from conformance.faults.seeding import (
    EXTERNAL_GATEWAY,
    FAULTS,
    INTER_PROXY,
    REFERENCE,
    SIDECAR,
    SubjectArguments,
    seed,
)
from conformance.mesh import (
    BYSTANDER,
    CALLER,
    ELSEWHERE,
    WITNESS,
    Modifier,
    Resources,
    Wiring,
    application_host,
)

ON_ALL_INTERFACES = ("--host", "0.0.0.0")
ASKING = "envoy.filters.http.ext_authz"
EXTENSION = "type.googleapis.com/envoy.extensions"


class Rewired(Modifier):
    """Other cables than there should be."""

    def __init__(self, rewire: Callable[[Wiring], Wiring]) -> None:
        self._rewire = rewire

    def wiring(self, wiring: Wiring) -> Wiring:
        """After the change."""
        return self._rewire(wiring)


def plugged_in(member: str) -> Callable[[Wiring], Wiring]:
    """The machine of a member's applications is connected to everybody."""
    return lambda wiring: replace(wiring, unplugged=wiring.unplugged - {application_host(member)})


def surveyor_cut_off(wiring: Wiring) -> Wiring:
    """The machine of nobody is connected to nobody."""
    return replace(wiring, unplugged=wiring.unplugged | {ELSEWHERE})


# ---------------------------------------------------------------------- on machines of their own

seed(
    "topology-witness-unreachable",
    defect="On hosts of their own, too, the security server looks for the witness where nobody listens.",
    modifier=WitnessUnreachable(),
    caught_by={
        **FAULTS["common-witness-unreachable"].caught_by,
        "TOPOLOGY-001": undecided("call-not-seen"),
        "TOPOLOGY-002": undecided("plain-call-failed"),
    },
    on=INTER_PROXY,
)


def mirror(server: str, resources: Resources) -> None:
    """Send a copy of each call for the witness to a port of another machine, in plaintext."""
    endpoints = resources[ResourceType.ENDPOINT].get(f"peer-{BYSTANDER}") if server == CALLER else None
    routes = resources[ResourceType.ROUTE].get(f"outbound/{WITNESS}")
    if not endpoints or not routes:
        return
    resources[ResourceType.CLUSTER]["analysis"] = {
        "name": "analysis",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {**endpoints, "cluster_name": "analysis"},
    }
    for route in routes["virtual_hosts"][0]["routes"]:
        route["route"]["request_mirror_policies"] = [{"cluster": "analysis"}]


seed(
    "topology-calls-mirrored",
    defect="A copy of each call goes to a machine for analysis, in plaintext.",
    modifier=Edited(mirror),
    # The copy is sent in vain, and the trace of the call tells of it.
    caught_by={"TOPOLOGY-001": "readable-on-the-wire", "TRACE-005": "success-marked"},
    on=INTER_PROXY,
)

seed(
    "topology-caller-plugged-in",
    defect="The calling application's machine is connected to the network of the security servers.",
    modifier=Rewired(plugged_in(CALLER)),
    caught_by={"TOPOLOGY-002": "way-round"},
    on=INTER_PROXY,
)


class OpenBuildingBlock(SubjectArguments):
    """The building block listens on all interfaces of a machine that is connected to everybody."""

    def wiring(self, wiring: Wiring) -> Wiring:
        """With its machine plugged in."""
        return plugged_in(REFERENCE)(wiring)


seed(
    "topology-building-block-plugged-in",
    defect="The building block listens on all interfaces, and its machine is connected to everybody.",
    modifier=OpenBuildingBlock(ON_ALL_INTERFACES),
    caught_by={"TOPOLOGY-002": "way-round", "TOPOLOGY-007": "building-block-reachable"},
    on=INTER_PROXY,
)


def hand_on_administration(server: str, resources: Resources) -> None:
    """Forward a port beside the door for peers to the socket of the administration interface."""
    if server != REFERENCE:
        return
    inbound = resources[ResourceType.LISTENER]["inbound"]
    folder = Path(inbound["access_log"][0]["typed_config"]["path"]).parent
    address = {"pipe": {"path": str(folder / "admin.sock")}}
    resources[ResourceType.CLUSTER]["administration"] = {
        "name": "administration",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "administration",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    forward = {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{EXTENSION}.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "administration",
            "cluster": "administration",
        },
    }
    resources[ResourceType.LISTENER]["administration"] = {
        "name": "administration",
        "address": inbound["address"],
        "filter_chains": [{"filters": [forward]}],
    }


seed(
    "observe-administration-handed-on",
    defect="A port beside that for peers leads to the administration interface, for somebody who collects statistics.",
    modifier=Edited(hand_on_administration),
    caught_by={"OBSERVE-005": "administration-reachable"},
    on=INTER_PROXY,
)

# ---------------------------------------------------------------------- beside a sidecar

seed(
    "topology-application-on-all-interfaces",
    defect="The application in a pod listens on all interfaces instead of loopback.",
    subject_arguments=ON_ALL_INTERFACES,
    caught_by={"TOPOLOGY-003": "application-reachable"},
    on=SIDECAR,
)

BLIND = undecided("door-not-found")
UNREACHABLE_IMPOSTER = {"MTLS-009": "wrong-reason"}

seed(
    "topology-pods-not-surveyed",
    defect="The machine from which pods are surveyed is connected to nobody.",
    modifier=Rewired(surveyor_cut_off),
    caught_by={**dict.fromkeys(["TOPOLOGY-003", "TOPOLOGY-008", "OBSERVE-005"], BLIND), **UNREACHABLE_IMPOSTER},
    on=SIDECAR,
)

seed(
    "topology-abroad-cut-off",
    defect="The machine abroad, from which machines are surveyed, too, is connected to nobody.",
    modifier=Rewired(surveyor_cut_off),
    caught_by={
        **dict.fromkeys(["TOPOLOGY-007", "TOPOLOGY-008", "OBSERVE-005"], BLIND),
        **dict.fromkeys(["TOPOLOGY-004", "TOPOLOGY-005"], undecided("named-foreigner-refused")),
        **UNREACHABLE_IMPOSTER,
    },
    on=EXTERNAL_GATEWAY,
)

# ---------------------------------------------------------------------- destinations

OUTSIDE = OUTSIDE_PATH.split("/")[1]


def lead_outside(route: dict[str, Any]) -> Edited:
    """The caller's security server has a route for a path that nobody registered."""

    def edit(server: str, resources: Resources) -> None:
        if server != CALLER:
            return
        name = f"outbound/{OUTSIDE}"
        resources[ResourceType.SCOPED_ROUTE][name] = scope("outbound", OUTSIDE)
        unasked = {ASKING: {"@type": f"{EXTENSION}.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled": True}}
        whole = {"match": {"prefix": "/"}, "typed_per_filter_config": unasked, **route}
        host = {"name": name, "domains": ["*"], "routes": [whole]}
        resources[ResourceType.ROUTE][name] = {"name": name, "virtual_hosts": [host], "validate_clusters": False}
        resources[ResourceType.CLUSTER]["anywhere"] = {
            "name": "anywhere",
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "1s",
            "original_dst_lb_config": {"use_http_header": True, "http_header_name": ":authority"},
        }

    return Edited(edit)


seed(
    "topology-forwards-anywhere",
    defect="The security server forwards calls to whatever address its application names.",
    modifier=lead_outside({"route": {"cluster": "anywhere"}}),
    caught_by={"TOPOLOGY-006": "destination-reached"},
)

seed(
    "topology-unregistered-answered",
    defect="Calls for somebody who is not registered are answered with a page, as if he were.",
    modifier=lead_outside({"direct_response": {"status": 200}}),
    caught_by={"TOPOLOGY-006": "wrong-reason"},
)
