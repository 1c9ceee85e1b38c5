"""Faults of mutual TLS."""

from __future__ import annotations

import base64
from typing import Any

from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import undecided
from conformance.faults.seeding import patch, seed
from conformance.mesh import CALLER, WITNESS, Modifier, Resources
from conformance.probe import CredentialKind

TYPE = "type.googleapis.com/envoy.extensions"
TLS = "/filter_chains/0/transport_socket/typed_config"
INVITED = "/validation_context/match_typed_subject_alt_names"
UPSTREAM = "/transport_socket/typed_config/common_tls_context/combined_validation_context/default_validation_context"
UNTRUSTED = {"op": "add", "path": "/validation_context/trust_chain_verification", "value": "ACCEPT_UNTRUSTED"}
EXPIRED = {"op": "add", "path": "/validation_context/allow_expired_certificate", "value": True}
TELL_PROTOCOLS_APART = {
    "op": "add",
    "path": "/listener_filters",
    "value": [
        {
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": f"{TYPE}.filters.listener.tls_inspector.v3.TlsInspector"},
        }
    ],
}

# ---------------------------------------------------------------------- callers who get in

seed(
    "mtls-certificate-optional",
    defect="The security server asks for a client certificate but insists neither on it nor on a name in it.",
    overlays=[
        patch("listener", "inbound", {"op": "replace", "path": f"{TLS}/require_client_certificate", "value": False}),
        patch("secret", "callers", {"op": "remove", "path": INVITED}),
    ],
    caught_by=dict.fromkeys(["MTLS-001", "MTLS-005", "MTLS-006"], "caller-accepted"),
)

seed(
    "mtls-names-not-compared",
    defect="Whoever has a certificate of the mesh's authority gets in, whatever name is in it.",
    overlays=[patch("secret", "callers", {"op": "remove", "path": INVITED})],
    caught_by=dict.fromkeys(["MTLS-005", "MTLS-006"], "caller-accepted"),
)

seed(
    "mtls-whole-trust-domain-invited",
    defect="Every identity of the trust domain is invited, not only the members of the mesh.",
    overlays=[
        patch(
            "secret",
            "callers",
            {
                "op": "replace",
                "path": INVITED,
                "value": [{"san_type": "URI", "matcher": {"prefix": "spiffe://mesh.test/"}}],
            },
        )
    ],
    caught_by={"MTLS-005": "caller-accepted"},
)

seed(
    "mtls-untrusted-accepted",
    defect="The chain of a caller's certificate is looked at, but a bad one is let through.",
    overlays=[patch("secret", "callers", UNTRUSTED)],
    caught_by=dict.fromkeys(
        ["MTLS-002", "MTLS-003", "MTLS-004", "MTLS-005", "MTLS-006", "MTLS-010"], "caller-accepted"
    ),
)

seed(
    "mtls-dates-ignored",
    defect="The dates of callers' certificates are not looked at.",
    overlays=[patch("secret", "callers", EXPIRED)],
    caught_by=dict.fromkeys(["MTLS-003", "MTLS-004"], "caller-accepted"),
)

seed(
    "mtls-no-revocation-list",
    defect="The revocation list never reaches the security servers.",
    overlays=[patch("secret", "callers", {"op": "remove", "path": "/validation_context/crl"})],
    caught_by={"MTLS-010": "caller-accepted"},
)

PLAINTEXT_TOO: list[dict[str, Any]] = [
    TELL_PROTOCOLS_APART,
    {"op": "copy", "from": "/filter_chains/0", "path": "/filter_chains/1"},
    {"op": "remove", "path": "/filter_chains/1/transport_socket"},
    {"op": "replace", "path": "/filter_chains/1/name", "value": "plaintext"},
    {"op": "add", "path": "/filter_chains/1/filter_chain_match", "value": {"transport_protocol": "raw_buffer"}},
    {"op": "add", "path": "/filter_chains/0/filter_chain_match", "value": {"transport_protocol": "tls"}},
]

seed(
    "mtls-plaintext-beside-tls",
    defect="The port for mutual TLS answers plaintext, too.",
    overlays=[patch("listener", "inbound", *PLAINTEXT_TOO)],
    caught_by={"MTLS-007": "caller-accepted"},
)

OLD_TLS = {
    "op": "replace",
    "path": f"{TLS}/common_tls_context/tls_params/tls_minimum_protocol_version",
    "value": "TLSv1_2",
}

seed(
    "mtls-old-tls-allowed",
    defect="TLS 1.2 is still spoken with callers who know nothing better.",
    overlays=[patch("listener", "inbound", OLD_TLS)],
    caught_by={"MTLS-008": "caller-accepted"},
)

# ---------------------------------------------------------------------- callers refused for another reason

MIXED_UP = {
    CredentialKind.NONE: CredentialKind.UNKNOWN_AUTHORITY,
    CredentialKind.UNKNOWN_AUTHORITY: CredentialKind.EXPIRED,
    CredentialKind.EXPIRED: CredentialKind.NOT_YET_VALID,
    CredentialKind.NOT_YET_VALID: CredentialKind.EXPIRED,
    CredentialKind.STRANGER: CredentialKind.WITHOUT_IDENTITY,
    CredentialKind.WITHOUT_IDENTITY: CredentialKind.STRANGER,
    CredentialKind.REVOKED: CredentialKind.EXPIRED,
}


class MixedUp(Modifier):
    """Hands out a certificate that is bad for another reason than the one that was asked for."""

    def credential_kind(self, kind: str) -> str:
        """The good ones stay good."""
        return MIXED_UP.get(CredentialKind(kind), kind)


seed(
    "mtls-misfits-mixed-up",
    defect="Every bad certificate is bad for another reason than it should be, so every refusal has a wrong reason.",
    modifier=MixedUp(),
    caught_by=dict.fromkeys(
        ["MTLS-001", "MTLS-002", "MTLS-003", "MTLS-004", "MTLS-005", "MTLS-006", "MTLS-009", "MTLS-010"], "wrong-reason"
    ),
)

seed(
    "mtls-plaintext-closed-late",
    defect="The port for mutual TLS takes plaintext, and only a filter behind it closes the connection.",
    overlays=[
        patch(
            "listener",
            "inbound",
            *PLAINTEXT_TOO,
            {
                "op": "add",
                "path": "/filter_chains/1/filters/0",
                "value": {
                    "name": "envoy.filters.network.rbac",
                    "typed_config": {
                        "@type": f"{TYPE}.filters.network.rbac.v3.RBAC",
                        "stat_prefix": "plaintext",
                        "rules": {"action": "ALLOW"},
                    },
                },
            },
        )
    ],
    caught_by={"MTLS-007": "wrong-reason"},
)

seed(
    "mtls-old-tls-lacks-cipher",
    defect="TLS 1.2 is spoken; it fails only because no cipher suite fits the security server's key.",
    overlays=[
        patch(
            "listener",
            "inbound",
            OLD_TLS,
            {
                "op": "add",
                "path": f"{TLS}/common_tls_context/tls_params/cipher_suites",
                "value": ["ECDHE-RSA-AES128-GCM-SHA256"],
            },
        )
    ],
    caught_by={"MTLS-008": "wrong-reason"},
)

# ---------------------------------------------------------------------- nothing can be learned

UNSERVED_AFTERWARDS = undecided("known-caller-refused-afterwards")


class GoodOnlyOnce(Modifier):
    """Of all certificates for members only the first is good, until the mesh is put back."""

    def __init__(self) -> None:
        self._made = 0

    def resources(self, server: str, resources: Resources) -> Resources:
        """Unchanged; the resources are rendered anew when the mesh is put back."""
        self._made = 0
        return resources

    def credential_kind(self, kind: str) -> str:
        """The second one of a check has expired."""
        if kind != CredentialKind.MEMBER:
            return kind
        self._made += 1
        return kind if self._made == 1 else CredentialKind.EXPIRED


seed(
    "mtls-members-expire",
    defect="Members' certificates expire while their refused fellows are being looked at.",
    modifier=GoodOnlyOnce(),
    caught_by=dict.fromkeys(
        ["MTLS-001", "MTLS-002", "MTLS-003", "MTLS-004", "MTLS-005", "MTLS-006", "MTLS-007", "MTLS-008"],
        UNSERVED_AFTERWARDS,
    ),
)


class NewListsIncomplete(Modifier):
    """The root's own list is missing whenever lists are new, so that for a while no caller's chain can be verified."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def resources(self, server: str, resources: Resources) -> Resources:
        """Callers are judged by half of the lists until the next change."""
        secrets = resources[ResourceType.SECRET]
        context = secrets["callers"]["validation_context"]
        lists = context["crl"]["inline_bytes"]
        if self._known.get(server) == lists:
            return resources
        self._known[server] = lists
        _, end, others = base64.b64decode(lists).partition(b"-----END X509 CRL-----\n")
        incomplete = {"inline_bytes": base64.b64encode(others if end else b"").decode()}
        callers = {**secrets["callers"], "validation_context": {**context, "crl": incomplete}}
        return {**resources, ResourceType.SECRET: {**secrets, "callers": callers}}


seed(
    "mtls-new-lists-incomplete",
    defect="When a certificate is revoked, the new lists arrive without the root's.",
    modifier=NewListsIncomplete(),
    caught_by={"MTLS-010": UNSERVED_AFTERWARDS, "POLICY-014": undecided("never-served")},
)

# ---------------------------------------------------------------------- upstreams

seed(
    "mtls-upstream-name-not-compared",
    defect="The caller's side takes any certificate of the mesh's authority for the provider's.",
    overlays=[patch("cluster", "peer-*", {"op": "remove", "path": f"{UPSTREAM}/match_typed_subject_alt_names"})],
    caught_by={"AUTHZ-011": "entrusted-too-early", "MTLS-009": "call-entrusted"},
)

seed(
    "mtls-upstream-untrusted-accepted",
    defect="The caller's side does not care who signed the provider's certificate.",
    overlays=[patch("secret", "trust", UNTRUSTED)],
    caught_by={"AUTHZ-011": "entrusted-too-early", "MTLS-009": "call-entrusted"},
)

seed(
    "mtls-upstream-dates-ignored",
    defect="The caller's side does not look at the dates of the provider's certificate.",
    overlays=[patch("secret", "trust", EXPIRED)],
    caught_by={"MTLS-009": "call-entrusted"},
)

seed(
    "mtls-upstream-refusal-disguised",
    defect="When the provider cannot prove who it is, the calling application is told that it was not found.",
    overlays=[
        patch(
            "listener",
            "outbound",
            {
                "op": "add",
                "path": "/filter_chains/0/filters/0/typed_config/local_reply_config",
                "value": {
                    "mappers": [{"filter": {"response_flag_filter": {"flags": ["UF"]}}, "status_code": 404}],
                },
            },
            server=CALLER,
        )
    ],
    caught_by={"MTLS-009": "wrong-status"},
)


class NewcomersLeftOut(Modifier):
    """Nobody is told the way to an imposter."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """Without the scopes of its routes, so that no path leads to them."""
        scopes = resources[ResourceType.SCOPED_ROUTE]
        known = {name: scope for name, scope in scopes.items() if not name.startswith("outbound/imposter")}
        return {**resources, ResourceType.SCOPED_ROUTE: known}


seed(
    "mtls-newcomers-left-out",
    defect="Nobody is told the way to a service that joins the mesh.",
    modifier=NewcomersLeftOut(),
    caught_by={"AUTHZ-011": undecided("imposter-not-addressed"), "MTLS-009": undecided("imposter-not-addressed")},
)


class NewcomersDisplaceOthers(Modifier):
    """As soon as the caller can address an imposter, it has lost the way to the witness."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """No endpoint is left."""
        endpoints = resources[ResourceType.ENDPOINT]
        if not any(name.startswith("peer-imposter") for name in endpoints):
            return resources
        nowhere = {"cluster_name": f"peer-{WITNESS}", "endpoints": []}
        return {**resources, ResourceType.ENDPOINT: {**endpoints, f"peer-{WITNESS}": nowhere}}


seed(
    "mtls-newcomers-displace-others",
    defect="A service that joins the mesh takes away the endpoints of another.",
    modifier=NewcomersDisplaceOthers(),
    caught_by={"MTLS-009": undecided("honest-upstream-not-reached-afterwards")},
)
