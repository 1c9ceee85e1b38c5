"""Writes the JSON Schema of policy documents: `python -m tests.policy.documents.renew_schema`."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.policy.documents.schema import policy_schema

SCHEMA = Path(__file__).resolve().parents[3] / "conformance" / "policy" / "documents" / "policy.schema.json"


def schema_text() -> str:
    """The file as it has to be."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
