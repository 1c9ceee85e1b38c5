"""Answers that are no refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from conformance.policy.service.problems import encoded

__all__ = ["ok"]


def ok(document: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A document in JSON."""
    return Response(encoded(document), status, headers, media_type="application/json")
