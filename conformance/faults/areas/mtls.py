"""Faults of mutual TLS."""

from conformance.faults.seeding import patch, seed

TLS = "/filter_chains/0/transport_socket/typed_config"

seed(
    "mtls-certificate-optional",
    defect="The security server asks for a client certificate but does not insist on it.",
    overlays=[
        patch("listener", "inbound", {"op": "replace", "path": f"{TLS}/require_client_certificate", "value": False})
    ],
    caught_by={"MTLS-001": "request-forwarded"},
)
