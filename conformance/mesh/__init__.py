"""A whole mesh from the rooms below: security servers, control plane, certificates, building blocks."""

from conformance.mesh.applications import IMAGE_PLACEHOLDERS, PLACEHOLDERS, Applications
from conformance.mesh.collector import TRACES_PATH, SpanCollector
from conformance.mesh.governance import Propagation
from conformance.mesh.imposter import Imposter
from conformance.mesh.member import Member
from conformance.mesh.members import Members
from conformance.mesh.mesh import Mesh
from conformance.mesh.modifiers import Modifier, Modifiers, Resources
from conformance.mesh.names import BYSTANDER, CALLER, FOR_FOREIGNERS, RESERVED_NAMES, WITNESS
from conformance.mesh.onward import Onward
from conformance.mesh.overlays import Overlays
from conformance.mesh.partner import FOREIGNER
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
    "Members",
    "Mesh",
    "Modifier",
    "Modifiers",
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
