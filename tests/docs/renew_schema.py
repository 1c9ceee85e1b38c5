"""Writes the JSON Schema of run files: `python -m tests.docs.renew_schema`."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.model.run_file import run_file_schema

SCHEMA = Path(__file__).resolve().parent.parent.parent / "conformance" / "model" / "run_file.schema.json"


def schema_text() -> str:
    """The file as it has to be."""
    return json.dumps(run_file_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
