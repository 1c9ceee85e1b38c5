"""All that a check may touch."""

from ssl import TLSVersion

from conformance.mesh import (
    BYSTANDER,
    CALLER,
    FOR_FOREIGNERS,
    GATEWAY,
    WITNESS,
    Answer,
    Arrival,
    Propagation,
    Span,
    WitnessEndpoint,
    refusing_address,
)
from conformance.model.check import Topology
from conformance.model.policy import (
    AccessRule,
    BearerTokens,
    CircuitBreaker,
    Operation,
    OutlierDetection,
    PathMatch,
    PathMatchKind,
    RetryPolicy,
    Route,
)
from conformance.model.requirements import Feature
from conformance.model.verdict import EvidenceKind
from conformance.openapi.fuzz_report import FuzzReport
from conformance.probe.access_log import LogLine
from conformance.probe.administration import Administration, Asked
from conformance.probe.authentication import DecisionSeen
from conformance.probe.contracts import Exercised
from conformance.probe.credentials import CredentialKind
from conformance.probe.exchange import Exchange, KeptConnection
from conformance.probe.execution import Execution
from conformance.probe.hosts import ForeignKind, Hosts, Purpose, Way
from conformance.probe.introduction import Introduction
from conformance.probe.joining import NEWCOMER, Joined
from conformance.probe.life import Life
from conformance.probe.probe import Probe
from conformance.probe.registry import Listing
from conformance.probe.subject import SubjectFacts
from conformance.probe.tracing import CORRELATION_ID, TraceContext
from conformance.probe.traffic import SteadyTraffic, WatchedCall
from conformance.probe.updates import Updates

__all__ = [
    "BYSTANDER",
    "CALLER",
    "CORRELATION_ID",
    "FOR_FOREIGNERS",
    "GATEWAY",
    "NEWCOMER",
    "WITNESS",
    "AccessRule",
    "Administration",
    "Answer",
    "Arrival",
    "Asked",
    "BearerTokens",
    "CircuitBreaker",
    "CredentialKind",
    "DecisionSeen",
    "EvidenceKind",
    "Exchange",
    "Execution",
    "Exercised",
    "Feature",
    "ForeignKind",
    "FuzzReport",
    "Hosts",
    "Introduction",
    "Joined",
    "KeptConnection",
    "Life",
    "Listing",
    "LogLine",
    "Operation",
    "OutlierDetection",
    "PathMatch",
    "PathMatchKind",
    "Probe",
    "Propagation",
    "Purpose",
    "RetryPolicy",
    "Route",
    "Span",
    "SteadyTraffic",
    "SubjectFacts",
    "TLSVersion",
    "Topology",
    "TraceContext",
    "Updates",
    "WatchedCall",
    "Way",
    "WitnessEndpoint",
    "refusing_address",
]
