"""Records in which somebody wrote what he should not."""

from __future__ import annotations

import json
from typing import Any

from conformance.model.record import RunRecord


def spoilt(record: RunRecord, text: str) -> dict[str, Any]:
    """The record with this text in every place where words from outside may stand."""
    values = json.loads(json.dumps(record.to_json()))
    fixed = {"check", "level", "verdict", "outcome", "schema", "state", "expires", "started", "finished", "at", "kind"}
    fixed |= {"proves", "reason_code", "code", "topology", "role", "requirements", "timeouts", "sha256"}

    def spoil(value: Any, key: str = "") -> Any:
        if key in fixed:
            return value
        if isinstance(value, dict):
            if key in ("observed", "headers"):
                return {text + name: spoil(each, name) for name, each in value.items()}
            return {name: spoil(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return text + value if isinstance(value, str) else value

    spoilt_values = spoil(values)
    assert isinstance(spoilt_values, dict)
    spoilt_values["requirements"] = {
        each: {"text": text, "level": "MUST", "sources": [text], "unchecked": text} for each in values["requirements"]
    }
    return spoilt_values
