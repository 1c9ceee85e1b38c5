"""One honest value for a schema, the same each time: an example that the contract shows, else the plainest that fits.

Invariants: every value that is handed out keeps its schema by the judgement of a validator that is not this generator;
where none is found, `NoValue` says why. A request built of such values gives the building block no excuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from conformance.openapi.bundle import UNRESOLVED, follow
from conformance.openapi.scalars import TEXT, NoValue, number_for, text_for, whole
from conformance.openapi.schema_rules import SchemaRules

__all__ = ["NoValue", "ValueMaker"]

DEEPEST = 12
# Beyond it only what is required is written out: recursive schemas would otherwise grow without need.
DEEPEST_OPTIONAL = 4
MOST_ITEMS = 100
MOST_STEPS = 5_000


class ValueMaker:
    """Makes values for the schemas of one contract's bundle."""

    def __init__(self, document: dict[str, Any], openapi_version: str) -> None:
        self._document = document
        self._rules = SchemaRules(document, openapi_version)
        self._left = 0

    def value(self, schema: Any, shown: Iterable[Any] = ()) -> Any:  # noqa: ANN401 -- any value of JSON
        """A value that keeps the schema, preferably one of those that the contract shows beside it.

        Raises:
            NoValue: none is known.

        """
        breach = None
        for candidate in (*shown, *self._shown_in(schema)):
            breach = self._rules.breach(schema, candidate)
            if breach is None:
                return candidate
        self._left = MOST_STEPS
        value = self._made(schema, 0)
        breach = self._rules.breach(schema, value)
        if breach is not None:
            raise NoValue(f"no value is known that keeps the schema: {breach}")
        return value

    def _shown_in(self, schema: Any) -> Iterator[Any]:  # noqa: ANN401 -- any value of JSON
        schema = follow(self._document, schema)
        if isinstance(schema, dict):
            for key in ("example", "default", "const"):
                if key in schema:
                    yield schema[key]
            for key in ("examples", "enum"):
                if isinstance(schema.get(key), list):
                    yield from schema[key]

    def _made(self, schema: Any, depth: int) -> Any:  # noqa: ANN401 -- any value of JSON
        schema = follow(self._document, schema)
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            raise NoValue("the schema asks for itself again and again")
        if schema is False:
            raise NoValue("the schema allows no value")
        if not isinstance(schema, dict):
            return TEXT
        if UNRESOLVED in schema:
            raise NoValue(f"the schema is the reference `{schema[UNRESOLVED]}`, which is not resolved")
        if depth:
            for candidate in self._shown_in(schema):
                if self._rules.breach(schema, candidate) is None:
                    return candidate
        return self._made_of_parts(schema, depth)

    def _made_of_parts(self, schema: dict[str, Any], depth: int) -> Any:  # noqa: ANN401 -- any value of JSON
        parts = schema.get("allOf")
        if isinstance(parts, list) and parts:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            return self._made(self._merged([*parts, rest], depth), depth + 1)
        for key in ("oneOf", "anyOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._made_of_branches(schema, key, depth)
        return self._made_of_type(schema, _type_of(schema), depth)

    def _made_of_branches(self, schema: dict[str, Any], key: str, depth: int) -> Any:  # noqa: ANN401
        rest = {name: value for name, value in schema.items() if name != key}
        problem = NoValue(f"no branch of `{key}` has a value that fits it alone")
        for branch in schema[key]:
            try:
                value = self._made(self._merged([rest, branch], depth), depth + 1)
            except NoValue as found:
                problem = found
            else:
                if self._rules.breach(schema, value) is None:
                    return value
        raise problem

    def _merged(self, parts: list[Any], depth: int) -> dict[str, Any]:
        if depth > DEEPEST:
            raise NoValue("the schema asks for itself again and again")
        result: dict[str, Any] = {}
        for part in (follow(self._document, each) for each in parts):
            if not isinstance(part, dict):
                continue
            if UNRESOLVED in part:
                raise NoValue(f"the schema is the reference `{part[UNRESOLVED]}`, which is not resolved")
            flat = part
            if isinstance(part.get("allOf"), list):
                rest = {key: value for key, value in part.items() if key != "allOf"}
                flat = self._merged([*part["allOf"], rest], depth + 1)
            for key, value in flat.items():
                if key == "properties" and isinstance(value, dict):
                    result[key] = {**result.get(key, {}), **value}
                elif key == "required" and isinstance(value, list):
                    result[key] = [*result.get(key, []), *value]
                elif key not in {"example", "examples", "default"}:
                    # What a part shows as an example is no example of the whole.
                    result[key] = value
        return result

    def _made_of_type(self, schema: dict[str, Any], kind: str, depth: int) -> Any:  # noqa: ANN401
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in {"integer", "number"}:
            return number_for(schema, integer=kind == "integer")
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return text_for(schema)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema["properties"] if isinstance(schema.get("properties"), dict) else {}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        result: dict[str, Any] = {}
        for name, definition in properties.items():
            target = follow(self._document, definition)
            if isinstance(target, dict) and target.get("readOnly") is True:
                continue
            if name not in required and depth >= DEEPEST_OPTIONAL:
                continue
            try:
                result[name] = self._made(definition, depth + 1)
            except NoValue as problem:
                if name in required:
                    raise NoValue(f"`{name}`: {problem}") from None
        more = schema.get("additionalProperties", True)
        for name in required:
            if name not in properties:
                result[name] = self._made(more, depth + 1)
        least = whole(schema, "minProperties") or 0
        for number in range(1, 1 + min(least, MOST_ITEMS)):
            if len(result) < least and more is not False:
                result[f"key{number}"] = self._made(more, depth + 1)
        return result

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        least = whole(schema, "minItems") or 0
        if least > MOST_ITEMS:
            raise NoValue(f"it asks for {least} items; {MOST_ITEMS} are made at most")
        if schema.get("maxItems") == 0:
            return []
        try:
            item = self._made(schema.get("items", True), depth + 1)
        except NoValue:
            if least:
                raise
            return []
        if schema.get("uniqueItems") is not True:
            return [item] * max(1, least)
        return self._different(schema.get("items", True), item, max(1, least))

    def _different(self, items: Any, first: Any, count: int) -> list[Any]:  # noqa: ANN401 -- any value of JSON
        definition = follow(self._document, items)
        chosen = [first]
        more: list[Any] = list(_list(definition.get("enum"))) if isinstance(definition, dict) else []
        if isinstance(first, str):
            more += [f"{first}{number}" for number in range(2, count + 2)]
        elif isinstance(first, int | float) and not isinstance(first, bool):
            more += [first + number for number in range(1, count + 1)]
            more += [first * number for number in range(2, count + 2)]
        elif isinstance(first, bool):
            more += [not first]
        for candidate in more:
            if len(chosen) < count and candidate not in chosen and self._rules.breach(items, candidate) is None:
                chosen.append(candidate)
        return chosen


def _type_of(schema: dict[str, Any]) -> str:
    kinds = schema.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and (kind != "null" or kinds in ("null", ["null"])):
            return kind
    if {"properties", "required", "minProperties"} & schema.keys() or isinstance(
        schema.get("additionalProperties"), dict
    ):
        return "object"
    if {"items", "minItems", "uniqueItems"} & schema.keys():
        return "array"
    if {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"} & schema.keys():
        return "number"
    return "string"


def _list(value: Any) -> list[Any]:  # noqa: ANN401 -- any value of JSON
    return value if isinstance(value, list) else []
