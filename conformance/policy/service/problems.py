"""Refusals in the shape of RFC 9457: what is wrong, in which document, at which place, and why.

Nothing of the inside is shown. What a client wrote is repeated only as far as it names the place, shortened and
printable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

__all__ = ["MOST_FLAWS", "Flaw", "Problem", "Reason", "encoded", "printable"]

MOST_FLAWS = 100
LONGEST_TEXT = 500


class Reason(StrEnum):
    """Why a request is refused; the `type` of the problem is made of it."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition-required"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


STATUSES = {
    Reason.MALFORMED: 400,
    Reason.UNAUTHENTICATED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.CONFLICT: 409,
    Reason.STALE: 412,
    Reason.TOO_LARGE: 413,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.INVALID: 422,
    Reason.PRECONDITION_REQUIRED: 428,
    Reason.INTERNAL: 500,
    Reason.UNAVAILABLE: 503,
}


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong.

    Attributes:
        reason: why.
        document: kind and name of the policy, `service/citizen-id`; empty: not in a policy.
        pointer: the place in the document, or else in the request's body (RFC 6901); empty: the whole of it.
        parameter: the name of the parameter or header; empty: not in one.
        next_step: what to do; empty: the reason says it.
        version: the version in which the document was last changed (or deleted), where the author knows another one.

    """

    reason: str
    document: str = ""
    pointer: str = ""
    parameter: str = ""
    next_step: str = ""
    version: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the contract: only what applies."""
        return {
            **({"document": printable(self.document)} if self.document else {}),
            **({"parameter": self.parameter} if self.parameter else {"pointer": printable(self.pointer)}),
            "reason": printable(self.reason),
            **({"next_step": printable(self.next_step)} if self.next_step else {}),
            **({} if self.version is None else {"version": self.version}),
        }


class Problem(Exception):  # noqa: N818 -- the RFC's word for what is answered
    """Ends the handling of a request with a refusal."""

    def __init__(
        self, reason: Reason, detail: str, flaws: Sequence[Flaw] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = STATUSES[reason]
        self.detail = detail
        self.flaws = tuple(flaws)
        self.headers = headers

    def content(self) -> bytes:
        """The problem as JSON."""
        return encoded(
            {
                "type": f"urn:meshmark:problem:{self.reason}",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": printable(self.detail),
                "errors": [flaw.to_json() for flaw in self.flaws[:MOST_FLAWS]],
            }
        )

    def response(self) -> Response:
        """The problem as an answer."""
        return Response(self.content(), self.status, self.headers, media_type="application/problem+json")


def encoded(value: Any) -> bytes:  # noqa: ANN401 -- any value of JSON
    """JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def printable(text: str) -> str:
    """A text that may hold what a client made up, safe to send back and to log: short, without control characters."""
    safe = "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
    return safe if len(safe) <= LONGEST_TEXT else f"{safe[: LONGEST_TEXT - 3]}..."
