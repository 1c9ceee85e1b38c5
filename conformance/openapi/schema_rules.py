"""Whether a value keeps a schema of the contract. Imports late: the validator costs 0.2 s."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["SchemaRules"]

DOCUMENT = "urn:meshmark:contract"
LONGEST_MESSAGE = 300
# What the validator raises where a schema is none: `type: 7`, `properties: []`, an endless `allOf` of itself.
SCHEMA_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, re.error)


class SchemaRules:
    """The schemas of one contract, for values on the way to the building block: `readOnly` properties are not sent."""

    def __init__(self, document: dict[str, Any], openapi_version: str) -> None:
        from openapi_schema_validator import OAS30WriteValidator, OAS31Validator  # noqa: PLC0415 -- see above
        from referencing import Registry, Resource  # noqa: PLC0415
        from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

        self._validator = OAS31Validator if openapi_version.startswith("3.1") else OAS30WriteValidator
        # The bundle has no `$id`: the specification only says how a pointer is followed.
        resource = Resource.from_contents(document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(DOCUMENT, resource)

    def breach(self, schema: Any, value: Any) -> str | None:  # noqa: ANN401 -- any value of JSON
        """Why the value does not keep the schema; None if it does."""
        from jsonschema.exceptions import UnknownType, best_match  # type: ignore[import-untyped]  # noqa: PLC0415

        if isinstance(schema, bool):
            return None if schema else "the schema allows no value"
        validator = self._validator(
            _addressed(schema), registry=self._registry, format_checker=self._validator.FORMAT_CHECKER
        )
        try:
            error = best_match(validator.iter_errors(value))
        except UnknownType as problem:
            return f"the schema cannot be read: there is no type `{problem.type}`"
        except SCHEMA_UNREADABLE as problem:
            return f"the schema cannot be read: {type(problem).__name__}: {problem}"
        return None if error is None else str(error.message)[:LONGEST_MESSAGE]


def _addressed(node: Any) -> Any:  # noqa: ANN401 -- any value of JSON
    """A copy whose references start at the document, not at this schema."""
    if isinstance(node, list):
        return [_addressed(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"{DOCUMENT}{value}" if key == "$ref" and isinstance(value, str) else _addressed(value)
        for key, value in node.items()
    }
