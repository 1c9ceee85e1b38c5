"""One honest request for an operation, built from the contract alone.

Invariants: the same contract gives the same request each time; whatever the request carries keeps the contract, so that
a refusal is the building block's doing. It carries what is required and the whole body, and no credentials: those are
nothing that a contract knows. Where no honest request can be built, `NoRequest` says why.
Serialization: OpenAPI 3.0.3 and 3.1.0, Parameter Object: simple, form, spaceDelimited, pipeDelimited, deepObject.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from conformance.openapi.bundle import follow
from conformance.openapi.contract import Contract
from conformance.openapi.operations import Operation, Parameter
from conformance.openapi.values import NoValue, ValueMaker

__all__ = ["ExampleMaker", "ExampleRequest", "NoRequest", "in_exercise_order"]

BOUNDARY = "meshmark-example-boundary"
DEFAULT_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
SEPARATORS = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
# Make before read, change before delete.
METHODS = ("POST", "PUT", "GET", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE")
METHOD_ORDER = {method: rank for rank, method in enumerate(METHODS)}


@dataclass(frozen=True)
class ExampleRequest:
    """A request that keeps the contract. `path` holds the query too and begins after the server's base path."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


@dataclass(frozen=True)
class NoRequest:
    """Why an operation cannot be exercised."""

    reason: str


def in_exercise_order(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """The order in which exercising all makes sense: parents are made first, and what was made is deleted last."""

    def rank(operation: Operation) -> tuple[int, int]:
        depth = operation.path.rstrip("/").count("/")
        return METHOD_ORDER[operation.method], -depth if operation.method == "DELETE" else depth

    return tuple(sorted(operations, key=rank))


class ExampleMaker:
    """Builds requests for the operations of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._document = contract.document
        self._values = ValueMaker(contract.document, contract.openapi_version)

    def request(self, operation: Operation) -> ExampleRequest | NoRequest:
        """One honest request, or why there is none."""
        if operation.obstacle:
            return NoRequest(operation.obstacle)
        try:
            parts = {place: list(self._parameters(operation, place)) for place in DEFAULT_STYLES}
            headers = [("accept", _accepted(operation)), *parts["header"]]
            if parts["cookie"]:
                headers.append(("cookie", "; ".join(f"{name}={value}" for name, value in parts["cookie"])))
            body, content_type = self._body(operation)
        except NoValue as problem:
            return NoRequest(str(problem))
        if content_type is not None:
            headers.append(("content-type", content_type))
        path = operation.path
        for name, value in parts["path"]:
            path = path.replace(f"{{{name}}}", value)
        query = "&".join(f"{quote(name, safe='[]')}={value}" for name, value in parts["query"])
        # Some contracts write a query into their paths.
        joint = "&" if "?" in path else "?"
        return ExampleRequest(operation.method, f"{path}{joint}{query}" if query else path, tuple(headers), body)

    def _parameters(self, operation: Operation, place: str) -> Iterator[tuple[str, str]]:
        for parameter in operation.parameters:
            if parameter.place == place and parameter.required:
                try:
                    yield from _serialized(parameter, self._parameter_value(parameter))
                except NoValue as problem:
                    raise NoValue(f"the {place} parameter `{parameter.name}`: {problem}") from None

    def _parameter_value(self, parameter: Parameter) -> Any:  # noqa: ANN401 -- any value of JSON
        content = parameter.definition.get("content")
        if isinstance(content, dict) and content:
            media_type, definition = next(iter(content.items()))
            if not _is_json(media_type):
                raise NoValue(f"it is of the media type `{media_type}`")
            return json.dumps(self._content_value(definition), ensure_ascii=False)
        return self._values.value(parameter.definition.get("schema", {}), self._shown(parameter.definition))

    def _content_value(self, definition: Any) -> Any:  # noqa: ANN401 -- any value of JSON
        definition = definition if isinstance(definition, dict) else {}
        return self._values.value(definition.get("schema", {}), self._shown(definition))

    def _shown(self, definition: Mapping[str, Any]) -> Iterator[Any]:
        if "example" in definition:
            yield definition["example"]
        examples = definition.get("examples")
        for reference in examples.values() if isinstance(examples, dict) else ():
            example = follow(self._document, reference)
            if isinstance(example, dict) and "value" in example:
                yield example["value"]

    def _body(self, operation: Operation) -> tuple[bytes | None, str | None]:
        body = operation.request_body
        if body is None or (operation.is_safe and not body.required):
            return None, None
        reason = "the request body has no media type"
        for media_type in sorted(body.content, key=lambda each: not _is_json(each)):
            try:
                value = self._content_value(body.content[media_type])
                return _encoded(media_type, value)
            except NoValue as problem:
                reason = f"the request body: {problem}"
        if body.required:
            raise NoValue(reason)
        return None, None


def _serialized(parameter: Parameter, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 -- any value of JSON
    style = str(parameter.definition.get("style", DEFAULT_STYLES[parameter.place]))
    explode = parameter.definition.get("explode", style == "form") is True
    safe = "" if parameter.place in {"path", "query"} else None
    if isinstance(value, dict) and style == "deepObject":
        yield from ((f"{parameter.name}[{key}]", _word(each, safe)) for key, each in value.items())
    elif style not in SEPARATORS:
        raise NoValue(f"the style `{style}` is not built here")
    elif isinstance(value, dict) and explode and parameter.place in {"query", "cookie"}:
        yield from ((key, _word(each, safe)) for key, each in value.items())
    elif isinstance(value, list) and explode and parameter.place in {"query", "cookie"}:
        yield from ((parameter.name, _word(each, safe)) for each in value)
    else:
        text = _joined(value, SEPARATORS[style], safe, explode=explode)
        if parameter.place == "path" and text in {"", ".", ".."}:
            raise NoValue(f"`{text}` cannot stand in a path")
        if parameter.place in {"header", "cookie"} and not (text.isascii() and text.isprintable()):
            raise NoValue("a header holds printable ASCII only")
        yield parameter.name, text


def _joined(value: Any, separator: str, safe: str | None, *, explode: bool) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        pairs = [(_word(key, safe), _word(each, safe)) for key, each in value.items()]
        return separator.join(f"{key}={each}" if explode else f"{key}{separator}{each}" for key, each in pairs)
    words = [_word(each, safe) for each in value] if isinstance(value, list) else [_word(value, safe)]
    return (separator if safe is None or separator == "," else quote(separator)).join(words)


def _word(value: Any, safe: str | None) -> str:  # noqa: ANN401 -- any value of JSON
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if safe is None else quote(text, safe=safe)


def _encoded(media_type: str, value: Any) -> tuple[bytes, str]:  # noqa: ANN401 -- any value of JSON
    name = media_type.partition(";")[0].strip().lower()
    if _is_json(name):
        return json.dumps(value, ensure_ascii=False).encode(), "application/json" if "*" in name else media_type
    if name == "application/x-www-form-urlencoded" and isinstance(value, dict):
        return urlencode(list(_fields(value))).encode(), media_type
    if name == "multipart/form-data" and isinstance(value, dict):
        lines = []
        for key, text in _fields(value):
            lines += [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{quote(key)}"', "", text]
        return "\r\n".join([*lines, f"--{BOUNDARY}--", ""]).encode(), f"{name}; boundary={BOUNDARY}"
    if isinstance(value, str) and "*" not in name:
        return value.encode(), media_type
    raise NoValue(f"bodies of the media type `{media_type}` are not built here")


def _fields(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        yield from ((key, _word(item, None)) for item in (each if isinstance(each, list) else [each]))


def _is_json(media_type: str) -> bool:
    name = media_type.partition(";")[0].strip().lower()
    return name in {"application/json", "application/*", "*/*"} or name.endswith("+json")


def _accepted(operation: Operation) -> str:
    contents = (response.get("content") for response in operation.responses.values())
    declared = dict.fromkeys(name for content in contents if isinstance(content, dict) for name in content)
    return ", ".join(name for name in declared if "/" in name and name.isascii() and name.isprintable()) or "*/*"
