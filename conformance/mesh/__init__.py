"""A whole mesh from the rooms below: security servers, control plane, certificates, building blocks."""

from conformance.mesh.applications import IMAGE_PLACEHOLDERS, PLACEHOLDERS, Applications
from conformance.mesh.collector import TRACES_PATH, SpanCollector
from conformance.mesh.imposter import Imposter
from conformance.mesh.mesh import (
    BYSTANDER,
    CALLER,
    FOR_FOREIGNERS,
    FOREIGNER,
    RESERVED_NAMES,
    WITNESS,
    Member,
    Mesh,
    Propagation,
)
from conformance.mesh.modifiers import Modifier, Overlays, Resources
from conformance.mesh.onward import Onward
from conformance.mesh.registration import member_id, registrable
from conformance.mesh.silence import silent_service
from conformance.mesh.sites import ELSEWHERE, GATEWAY, HostSites, SharedLoopback, Sites, Wiring, application_host
from conformance.mesh.spans import Chain, Leak, Span, chain, contains_any
from conformance.mesh.witness import NONCE_HEADER, Answer, Arrival, Witness, WitnessEndpoint, refusing_address

__all__ = [
    "BYSTANDER",
    "CALLER",
    "ELSEWHERE",
    "FOREIGNER",
    "FOR_FOREIGNERS",
    "GATEWAY",
    "IMAGE_PLACEHOLDERS",
    "NONCE_HEADER",
    "PLACEHOLDERS",
    "RESERVED_NAMES",
    "TRACES_PATH",
    "WITNESS",
    "Answer",
    "Applications",
    "Arrival",
    "Chain",
    "HostSites",
    "Imposter",
    "Leak",
    "Member",
    "Mesh",
    "Modifier",
    "Onward",
    "Overlays",
    "Propagation",
    "Resources",
    "SharedLoopback",
    "Sites",
    "Span",
    "SpanCollector",
    "Wiring",
    "Witness",
    "WitnessEndpoint",
    "application_host",
    "chain",
    "contains_any",
    "member_id",
    "refusing_address",
    "registrable",
    "silent_service",
]
