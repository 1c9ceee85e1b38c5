"""The JSON Schema of policy documents, for editors (draft 2020-12).

Invariant: it is made of the forms, so it allows no key that they refuse; what several documents say together, and what
no pattern can say, it does not know.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from conformance.policy.documents.forms import FORMS

__all__ = ["policy_schema"]


def policy_schema() -> dict[str, Any]:
    """The schema of one document of any kind."""
    _, made = models_json_schema([(form, "validation") for form in FORMS.values()])
    kinds = [{"$ref": f"#/$defs/{form.__name__}"} for form in FORMS.values()]
    definitions: dict[str, Any] = made["$defs"]
    used = _named(kinds, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policy of a mesh, of a member or of a service",
        "oneOf": kinds,
        "$defs": {name: definition for name, definition in definitions.items() if name in used},
    }


def _named(value: object, definitions: dict[str, Any]) -> set[str]:
    """The definitions that a part of the schema leads to; the words' own types are not among them."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            waiting += here.values()
            name = here["$ref"].rsplit("/", 1)[-1] if isinstance(here.get("$ref"), str) else None
            if name and name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found
