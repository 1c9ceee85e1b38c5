"""Why a call is let through or refused: one code for each reason, and one sentence.

Invariant: the sentences are the same for every call; nothing that a caller wrote gets into one.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["SENTENCES", "Reason", "Refused"]


class Reason(StrEnum):
    """Stands in answers, in dynamic metadata, in the decision log and in metrics."""

    ALLOWED = "allowed"
    NO_POLICIES = "no-policies"
    QUESTION_INCOMPLETE = "question-incomplete"
    INTERNAL_ERROR = "internal-error"
    SERVICE_UNKNOWN = "service-unknown"
    SERVER_UNKNOWN = "server-unknown"
    NOT_PROVIDED_HERE = "not-provided-here"
    NOT_CALLED_FROM_HERE = "not-called-from-here"
    PATH_OF_OTHER_SERVICE = "path-of-other-service"
    CLIENT_MISNAMED = "client-misnamed"
    IDENTITY_MISSING = "identity-missing"
    IDENTITY_AMBIGUOUS = "identity-ambiguous"
    IDENTITY_UNKNOWN = "identity-unknown"
    CALLER_NOT_ALLOWED = "caller-not-allowed"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    PATH_NOT_ALLOWED = "path-not-allowed"
    OPERATION_NOT_ALLOWED = "operation-not-allowed"
    TOKEN_MISSING = "token-missing"  # noqa: S105 -- a reason, no secret; so are the following
    TOKEN_REPEATED = "token-repeated"  # noqa: S105
    TOKEN_TOO_LONG = "token-too-long"  # noqa: S105
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105
    TOKEN_ALGORITHM = "token-algorithm"  # noqa: S105
    TOKEN_ISSUER = "token-issuer"  # noqa: S105
    TOKEN_KEY_UNKNOWN = "token-key-unknown"  # noqa: S105
    TOKEN_SIGNATURE = "token-signature"  # noqa: S105
    TOKEN_AUDIENCE = "token-audience"  # noqa: S105
    TOKEN_WITHOUT_EXPIRY = "token-without-expiry"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_NOT_YET_VALID = "token-not-yet-valid"  # noqa: S105
    TOKEN_FROM_THE_FUTURE = "token-from-the-future"  # noqa: S105

    @property
    def sentence(self) -> str:
        """For whoever reads the answer."""
        return SENTENCES[self]

    @property
    def about_token(self) -> bool:
        """Another token could change the answer (RFC 6750)."""
        return self.value.startswith("token-")


SENTENCES = {
    Reason.ALLOWED: "The call is allowed.",
    Reason.NO_POLICIES: "The authentication service has not received any policies yet.",
    Reason.QUESTION_INCOMPLETE: "The security server did not say what has to be known about the call.",
    Reason.INTERNAL_ERROR: "The authentication service could not decide.",
    Reason.SERVICE_UNKNOWN: "No policy speaks about this service.",
    Reason.SERVER_UNKNOWN: "The security server that asks is not a member of the mesh.",
    Reason.NOT_PROVIDED_HERE: "The service does not stand behind this security server.",
    Reason.NOT_CALLED_FROM_HERE: "The applications of this member may not address the service.",
    Reason.PATH_OF_OTHER_SERVICE: "The path does not belong to the service.",
    Reason.CLIENT_MISNAMED: "The client header does not name the member that calls.",
    Reason.IDENTITY_MISSING: "The caller has not proven who it is.",
    Reason.IDENTITY_AMBIGUOUS: "The certificate of the caller does not name exactly one identity.",
    Reason.IDENTITY_UNKNOWN: "The caller is neither a member of the mesh nor let in from another trust domain.",
    Reason.CALLER_NOT_ALLOWED: "No rule of the service names this caller.",
    Reason.METHOD_NOT_ALLOWED: "No rule of the service allows this caller the method.",
    Reason.PATH_NOT_ALLOWED: "No rule of the service allows this caller the path.",
    Reason.OPERATION_NOT_ALLOWED: "No rule of the service allows this caller the operation.",
    Reason.TOKEN_MISSING: "The service needs a bearer token.",
    Reason.TOKEN_REPEATED: "There is more than one Authorization header.",
    Reason.TOKEN_TOO_LONG: "The bearer token is too long.",
    Reason.TOKEN_MALFORMED: "The Authorization header holds no signed token.",
    Reason.TOKEN_ALGORITHM: "The algorithm of the signature is not accepted.",
    Reason.TOKEN_ISSUER: "The service does not accept tokens of this issuer.",
    Reason.TOKEN_KEY_UNKNOWN: "The issuer has no such key.",
    Reason.TOKEN_SIGNATURE: "The signature of the token is not good.",
    Reason.TOKEN_AUDIENCE: "The token is for somebody else.",
    Reason.TOKEN_WITHOUT_EXPIRY: "The token does not say when it expires.",
    Reason.TOKEN_EXPIRED: "The token has expired.",
    Reason.TOKEN_NOT_YET_VALID: "The token is not valid yet.",
    Reason.TOKEN_FROM_THE_FUTURE: "The token says that it was issued in the future.",
}


class Refused(Exception):  # noqa: N818 -- it is what happened to a call, not an error
    """The call does not go through."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)
