"""From policies to xDS resources, as pure functions: one module for each concern, plain dictionaries in protobuf JSON form."""

from conformance.controlplane.rendering.security_server import (
    Identity,
    InboundService,
    ListenAddress,
    OutboundService,
    SecurityServerView,
    render,
)

__all__ = ["Identity", "InboundService", "ListenAddress", "OutboundService", "SecurityServerView", "render"]
