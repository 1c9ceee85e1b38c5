"""How the security servers and services of a run's mesh are called that are neither the subject's nor a companion's."""

from __future__ import annotations

from conformance.mesh.sites import GATEWAY

__all__ = ["BYSTANDER", "CALLER", "FOR_FOREIGNERS", "RESERVED_NAMES", "WITNESS"]

CALLER = "caller"
"""The security server of the calling application, which is the suite itself."""
BYSTANDER = "bystander"
"""A security server, and its service, which no change of a check concerns."""
WITNESS = "witness"
"""The service of the suite's own behind the subject's security server."""
FOR_FOREIGNERS = "for-foreigners"
"""The service behind the subject's security server that callers of another trust domain may call; the witness, too."""
RESERVED_NAMES = frozenset({CALLER, BYSTANDER, WITNESS, FOR_FOREIGNERS, GATEWAY})
