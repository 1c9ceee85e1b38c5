"""A call as a security server describes it, and what was decided about it.

Invariants: nothing in a `Decision` is secret; what it says about the caller was proven, or is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.authn.reasons import Reason

__all__ = ["CALLER_HEADER", "ISSUER_HEADER", "SUBJECT_HEADER", "Call", "Decision", "Direction"]

CALLER_HEADER = "x-meshmark-caller"
"""Tells the building block the SPIFFE id of the caller's security server."""
SUBJECT_HEADER = "x-meshmark-subject"
"""Tells the building block whom the bearer token is about (`sub`)."""
ISSUER_HEADER = "x-meshmark-issuer"
"""Tells the building block who issued the bearer token, by the issuer's name in the policies."""


class Direction(StrEnum):
    """Which listener of the security server the call came to."""

    INBOUND = "inbound"
    """From a peer, to a service behind this security server."""
    OUTBOUND = "outbound"
    """From an application beside this security server, to a service of somebody else."""
    BORDER = "border"
    """From another trust domain, to a service behind another security server; at an external gateway only."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked about.

    Attributes:
        direction, service, server: as the security server's configuration says it; empty: it does not.
        method: the HTTP method.
        path: the target as the caller wrote it, after the proxy's normalisation, with its query.
        principal: the identity in the peer's certificate as the proxy read it; empty: there is none.
        certificate: the peer's certificate, PEM in percent-encoding, if the security server passes it on.
        headers: names in lower case; several lines of one name are joined by commas.

    """

    direction: str
    service: str
    server: str
    method: str
    path: str
    principal: str = ""
    certificate: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by what.

    Attributes:
        reason: why.
        caller: SPIFFE id of whoever calls; empty as long as it is not known.
        client: its X-Road identifier, percent-encoded; empty if it has none.
        client_header: the header in which X-Road clients are named, if the next one shall be told by it.
        operation: method and path template if a rule about operations let the call through.
        policy: version of the service's policy.
        store_version: version of the store up to which policies were known.
        subject, issuer: of the bearer token, if the service needs one.

    """

    reason: Reason
    caller: str = ""
    client: str = ""
    client_header: str = ""
    operation: str = ""
    policy: str = ""
    store_version: int = 0
    subject: str = ""
    issuer: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the call goes through."""
        return self.reason is Reason.ALLOWED
