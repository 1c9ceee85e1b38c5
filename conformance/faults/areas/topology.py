"""Faults of where things stand: ways round the security servers, and callers who come in where they should not."""

from __future__ import annotations

import base64
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
    patch,
    seed,
)
from conformance.mesh import (
    BYSTANDER,
    CALLER,
    ELSEWHERE,
    FOR_FOREIGNERS,
    GATEWAY,
    WITNESS,
    Modifier,
    Resources,
    Wiring,
    application_host,
)
from conformance.probe import ForeignKind

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

# ---------------------------------------------------------------------- at the border

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

FOREIGN_NAMES = "/validation_context/match_typed_subject_alt_names"

seed(
    "topology-foreign-names-by-prefix",
    defect="The gateway lets in whoever has an identity of the other trust domain.",
    overlays=[
        patch(
            "secret",
            "foreigners",
            {"op": "replace", "path": f"{FOREIGN_NAMES}/0/matcher", "value": {"prefix": "spiffe://partner.example/"}},
        )
    ],
    caught_by={"TOPOLOGY-004": "uninvited-accepted"},
    on=EXTERNAL_GATEWAY,
)


def bundle_of_partner(resources: Resources) -> bytes:
    """The roots of the other trust domain, as the gateway has them."""
    context = resources[ResourceType.SECRET]["foreigners"]["validation_context"]
    domains = context["custom_validator_config"]["typed_config"]["trust_domains"]
    return base64.b64decode(domains[0]["trust_bundle"]["inline_bytes"])


def pooled(resources: Resources, partner: bytes) -> dict[str, str]:
    """Both trust domains' roots in one pool."""
    own = base64.b64decode(resources[ResourceType.SECRET]["trust"]["validation_context"]["trusted_ca"]["inline_bytes"])
    return {"inline_bytes": base64.b64encode(own + partner).decode()}


def pool_at_the_border(_: str, resources: Resources) -> None:
    """At the gateway every trusted authority vouches for every name."""
    foreigners: dict[str, Any] | None = resources[ResourceType.SECRET].get("foreigners")
    if foreigners is None:
        return
    context = foreigners["validation_context"]
    foreigners["validation_context"] = {
        "trusted_ca": pooled(resources, bundle_of_partner(resources)),
        "match_typed_subject_alt_names": context["match_typed_subject_alt_names"],
    }


seed(
    "topology-border-trusts-pool",
    defect="The gateway has one pool of authorities, so that each of them vouches for the names of all.",
    modifier=Edited(pool_at_the_border),
    caught_by={"TOPOLOGY-004": "uninvited-accepted"},
    on=EXTERNAL_GATEWAY,
)


class BorrowedIdentity(Modifier):
    """Towards the mesh the gateway shows the certificate of a member."""

    def __init__(self) -> None:
        self._borrowed: dict[str, Any] | None = None

    def resources(self, server: str, resources: Resources) -> Resources:
        """The caller's own secret is remembered, and handed out to the gateway beside its own."""
        if server == CALLER:
            self._borrowed = {**resources[ResourceType.SECRET]["identity"], "name": "borrowed"}
        if server == GATEWAY and self._borrowed:
            return Edited(self._lend).resources(server, resources)
        return resources

    def _lend(self, _: str, resources: Resources) -> None:
        peer = resources[ResourceType.CLUSTER].get(f"peer-{FOR_FOREIGNERS}")
        if peer and self._borrowed:
            resources[ResourceType.SECRET]["borrowed"] = self._borrowed
            tls = peer["transport_socket"]["typed_config"]["common_tls_context"]
            tls["tls_certificate_sds_secret_configs"][0]["name"] = "borrowed"


seed(
    "topology-gateway-borrows-identity",
    defect="Towards the mesh the gateway uses the certificate of another member.",
    modifier=BorrowedIdentity(),
    caught_by={"TOPOLOGY-004": "borrowed-identity"},
    on=EXTERNAL_GATEWAY,
)

CONFUSED: dict[str, str] = {
    ForeignKind.UNNAMED: ForeignKind.UNKNOWN_AUTHORITY,
    ForeignKind.UNKNOWN_AUTHORITY: ForeignKind.UNNAMED,
}


class ForeignersConfused(Modifier):
    """Those who come from abroad are refused for another reason than they should be."""

    def __init__(self) -> None:
        self._named = 0

    def resources(self, server: str, resources: Resources) -> Resources:
        """Unchanged; the resources are rendered anew when the mesh is put back."""
        self._named = 0
        return resources

    def credential_kind(self, kind: str) -> str:
        """Of the agreed identity's certificates only the first of a check is by its own authority."""
        if kind == ForeignKind.NAMED:
            self._named += 1
            return kind if self._named == 1 else ForeignKind.VOUCHED_BY_MESH
        return CONFUSED.get(kind, kind)


seed(
    "topology-foreigners-confused",
    defect="Callers from abroad show other bad certificates than they should, so every refusal has a wrong reason.",
    modifier=ForeignersConfused(),
    caught_by=dict.fromkeys(["TOPOLOGY-004", "TOPOLOGY-005"], "wrong-reason"),
    on=EXTERNAL_GATEWAY,
)


class PeersTrustPartner(Modifier):
    """The doors for peers take the other trust domain's callers, too."""

    def __init__(self) -> None:
        self._partner: tuple[bytes, list[dict[str, Any]]] | None = None

    def resources(self, server: str, resources: Resources) -> Resources:
        """What the gateway knows about foreigners, the bystander knows from then on."""
        if server == GATEWAY and (foreigners := resources[ResourceType.SECRET].get("foreigners")):
            names = foreigners["validation_context"]["match_typed_subject_alt_names"]
            self._partner = bundle_of_partner(resources), names
        return Edited(self._trust).resources(server, resources) if server == BYSTANDER else resources

    def _trust(self, _: str, resources: Resources) -> None:
        if self._partner is None:
            return
        partner, names = self._partner
        context = resources[ResourceType.SECRET]["callers"]["validation_context"]
        context["trusted_ca"] = pooled(resources, partner)
        context["match_typed_subject_alt_names"] = [*context["match_typed_subject_alt_names"], *names]
        del context["crl"]


seed(
    "topology-peers-trust-partner",
    defect="A security server inside of the mesh trusts the other trust domain as the gateway does.",
    modifier=PeersTrustPartner(),
    caught_by={"TOPOLOGY-005": "foreigner-accepted"},
    on=EXTERNAL_GATEWAY,
)

seed(
    "topology-outbound-on-all-interfaces",
    defect="A security server takes calls for the mesh on all interfaces, not only from its own applications.",
    overlays=[
        patch(
            "listener",
            "outbound",
            {"op": "replace", "path": "/address/socket_address/address", "value": "0.0.0.0"},
            server=CALLER,
        )
    ],
    caught_by={"TOPOLOGY-005": "other-way-in", "TOPOLOGY-008": "serves-strangers"},
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
