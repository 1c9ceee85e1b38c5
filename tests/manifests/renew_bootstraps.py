"""Writes the bootstrap configurations for Kubernetes: `python -m tests.manifests.renew_bootstraps`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from conformance.envoy.bootstrap import MutualTlsAddress, bootstrap

__all__ = ["BASE", "CREDENTIALS", "SECURITY_SERVERS", "bootstrap_texts"]

BASE = Path(__file__).resolve().parent.parent.parent / "fixtures" / "kubernetes" / "base"
SECURITY_SERVERS = ("citizen-id", "patient-registry", "death-registry", "birth-registry", "external-gateway")
CREDENTIALS = Path("/run/credentials")
"""Where the secret of each is mounted."""
CONTROL_PLANE = MutualTlsAddress(
    host="control-plane",
    port=18000,
    server_name="control-plane",
    authority=CREDENTIALS / "authority.pem",
    certificate=CREDENTIALS / "certificate.pem",
    key=CREDENTIALS / "key.pem",
)


def bootstrap_texts() -> Mapping[str, str]:
    """Each file as it has to be, by the name of its security server."""
    return {
        name: json.dumps(
            bootstrap(
                node=name,
                cluster="meshmark",
                xds=CONTROL_PLANE,
                admin_socket=Path("/run/envoy/admin.sock"),
                api_type="DELTA_GRPC",
            ),
            indent=2,
        )
        + "\n"
        for name in SECURITY_SERVERS
    }


if __name__ == "__main__":
    for name, text in bootstrap_texts().items():
        (BASE / "bootstrap" / f"{name}.json").write_text(text, "utf-8")
