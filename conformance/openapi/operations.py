"""The operations of a contract, as far as they can be read.

Invariants: an operation is known by its method and path, since real contracts often have no operationId. What has the
wrong shape never stops the reading: it is left out, and `obstacle` says so where no honest request is possible then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.openapi.bundle import UNRESOLVED, Bundle, follow

__all__ = ["Operation", "Parameter", "RequestBody", "read_operations"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
PARAMETER_PLACES = {"path", "query", "header", "cookie"}
# RFC 9110, section 5.6.2: what the name of a header, or of a cookie, may be made of.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# OpenAPI 3.0.3, Parameter Object: header parameters with these names are to be ignored.
HEADERS_DECLARED_ELSEWHERE = {"accept", "content-type", "authorization"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a request; `definition` is the whole Parameter Object."""

    name: str
    place: str
    required: bool
    definition: Mapping[str, Any]


@dataclass(frozen=True)
class RequestBody:
    """What a request carries: media types with their Media Type Objects."""

    required: bool
    content: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Operation:
    """One method on one path.

    `responses` maps declared statuses (`200`, `4XX`, `default`) to Response Objects; `security` holds the alternatives
    of credentials, each a mapping of scheme to scopes, an empty mapping being "none"; `location` is `file:line:column`.
    """

    method: str
    path: str
    operation_id: str | None
    summary: str
    parameters: tuple[Parameter, ...]
    request_body: RequestBody | None
    responses: Mapping[str, Any]
    security: tuple[Mapping[str, Any], ...]
    location: str
    obstacle: str | None

    @property
    def key(self) -> str:
        """Method and path, `GET /births/{id}`: the name of the operation everywhere."""
        return f"{self.method} {self.path}"

    @property
    def is_safe(self) -> bool:
        """Whether calling it is not meant to change anything (RFC 9110, section 9.2.1)."""
        return self.method in SAFE_METHODS

    @property
    def needs_credentials(self) -> bool:
        """Whether no alternative of its security lets an anonymous caller in."""
        return bool(self.security) and all(self.security)


def read_operations(bundle: Bundle) -> Iterator[Operation]:
    """Read every operation, in the order of the document."""
    document = bundle.document
    for path, reference in _mapping(document.get("paths")).items():
        item = _mapping(follow(document, reference))
        for method in METHODS:
            if path.startswith("/") and isinstance(item.get(method), dict):
                where = bundle.where(("paths", path, method))
                yield _operation(document, method.upper(), path, item, where)


def _operation(document: dict[str, Any], method: str, path: str, item: dict[str, Any], location: str) -> Operation:
    definition = item[method.lower()]
    nodes = [follow(document, node) for node in (*_list(item.get("parameters")), *_list(definition.get("parameters")))]
    # A later one replaces an earlier one of the same name and place: the operation's own that of its path.
    parameters = {(each.place, each.name): each for each in map(_parameter, nodes) if each is not None}
    body = _mapping(follow(document, definition.get("requestBody")))
    return Operation(
        method=method,
        path=path,
        operation_id=_text(definition.get("operationId")),
        summary=_text(definition.get("summary")) or "",
        parameters=tuple(each for each in parameters.values() if not _declared_elsewhere(each)),
        request_body=RequestBody(body.get("required") is True, _mapping(body.get("content"))) if body else None,
        responses={
            status: _mapping(follow(document, response))
            for status, response in _mapping(definition.get("responses")).items()
            if not status.startswith("x-")
        },
        security=tuple(
            each for each in _list(definition.get("security", document.get("security"))) if isinstance(each, dict)
        ),
        location=location,
        obstacle=_obstacle(path, nodes, body, {name for place, name in parameters if place == "path"}),
    )


def _obstacle(path: str, nodes: list[Any], body: dict[str, Any], path_names: set[str]) -> str | None:
    for node in nodes:
        if UNRESOLVED in _mapping(node):
            return f"a parameter is the reference `{node[UNRESOLVED]}`, which is not resolved"
        parameter = _parameter(node)
        if parameter is None:
            place = _mapping(node).get("in")
            return f"a parameter cannot be read: its `in` is `{place}`" if place else "a parameter cannot be read"
        if parameter.required and parameter.place in {"header", "cookie"} and not TOKEN.fullmatch(parameter.name):
            return f"the {parameter.place} parameter `{parameter.name}` has a name that HTTP does not allow"
    if UNRESOLVED in body:
        return f"the request body is the reference `{body[UNRESOLVED]}`, which is not resolved"
    undeclared = sorted(set(re.findall(r"\{([^{}]*)\}", path)) - path_names)
    if undeclared:
        return f"the path has `{{{undeclared[0]}}}`, but no path parameter of that name is declared"
    return None


def _parameter(node: Any) -> Parameter | None:  # noqa: ANN401 -- any value of YAML
    node = _mapping(node)
    name, place = node.get("name"), node.get("in")
    if not isinstance(name, str) or place not in PARAMETER_PLACES:
        return None
    return Parameter(name, place, node.get("required") is True or place == "path", node)


def _declared_elsewhere(parameter: Parameter) -> bool:
    return parameter.place == "header" and parameter.name.lower() in HEADERS_DECLARED_ELSEWHERE


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 -- any value of YAML
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 -- any value of YAML
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:  # noqa: ANN401 -- any value of YAML
    return value if isinstance(value, str) else None
