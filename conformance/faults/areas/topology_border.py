"""Faults at the border of the mesh: callers of another trust domain who come in where, or as whom, they should not."""

from __future__ import annotations

import base64
from typing import Any

from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import Edited
from conformance.faults.seeding import EXTERNAL_GATEWAY, patch, seed
from conformance.mesh import BYSTANDER, CALLER, FOR_FOREIGNERS, GATEWAY, Modifier, Resources
from conformance.probe import ForeignKind

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
