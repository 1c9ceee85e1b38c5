"""How a security server says that no rule allows a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["refused_by_no_rule"]

NO_RULE_MATCHED = "rbac_access_denied_matched_policy[none]"


def refused_by_no_rule(line: Mapping[str, Any] | None, identity: str) -> bool:
    """The access-log line of a call says that it was refused because no rule allows it to this identity."""
    return line is not None and line.get("details") == NO_RULE_MATCHED and line.get("caller") == identity
