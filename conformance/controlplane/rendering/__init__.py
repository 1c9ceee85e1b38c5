"""From policies to xDS resources, as pure functions: one module for each concern, plain dictionaries in protobuf JSON
form.
"""

from conformance.controlplane.rendering.security_server import (
    Rendered,
    render_border,
    render_foundation,
    render_inbound,
    render_outbound,
    render_xroad,
)
from conformance.controlplane.rendering.view import (
    Identity,
    ListenAddress,
    OutboundService,
    SecurityServerView,
    Surroundings,
)

__all__ = [
    "Identity",
    "ListenAddress",
    "OutboundService",
    "Rendered",
    "SecurityServerView",
    "Surroundings",
    "render_border",
    "render_foundation",
    "render_inbound",
    "render_outbound",
    "render_xroad",
]
