"""The authentication service: asked by security servers about each call, it decides by policies; by default, no."""

# Before gRPC is imported: this sets what gRPC reads then.
import conformance.protobuf  # noqa: F401
from conformance.authn.behaviour import Behaviour
from conformance.authn.call import CALLER_HEADER, ISSUER_HEADER, SUBJECT_HEADER, Call, Decision, Direction
from conformance.authn.decision_log import Line
from conformance.authn.reasons import Reason
from conformance.authn.server import AuthenticationService

__all__ = [
    "CALLER_HEADER",
    "ISSUER_HEADER",
    "SUBJECT_HEADER",
    "AuthenticationService",
    "Behaviour",
    "Call",
    "Decision",
    "Direction",
    "Line",
    "Reason",
]
