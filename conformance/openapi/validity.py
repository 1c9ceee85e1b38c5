"""Whether a contract is a valid OpenAPI document: what openapi-spec-validator says, with places and in few words.

This module is imported late: the validator costs 0.2 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from jsonschema_path import SchemaPath
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from conformance.openapi.bundle import UNRESOLVED, Severity, follow
from conformance.openapi.tool_document import NOTHING_IS_FETCHED, without_unresolved_parameters

__all__ = ["findings"]

DocumentPath: TypeAlias = tuple[str | int, ...]

LONGEST_MESSAGE = 300
MOST_FINDINGS = 200
# What the validator raises, instead of reporting it, where a document is of a shape that it does not expect.
VALIDATOR_GAVE_UP = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def findings(document: dict[str, Any], openapi_version: str) -> Iterator[tuple[DocumentPath, str, Severity]]:
    """What makes the document invalid: the path of each finding in the document, the finding itself, and its weight."""
    validator = OpenAPIV31SpecValidator if openapi_version.startswith("3.1") else OpenAPIV30SpecValidator
    duplicates = list(_duplicate_parameters(document))
    yield from ((path, message, "error") for path, message in duplicates)
    try:
        known = SchemaPath.from_dict(without_unresolved_parameters(document), handlers=NOTHING_IS_FETCHED)
        for error in islice(validator(known).iter_errors(), MOST_FINDINGS):
            path = tuple(error.absolute_path) or _path_named_in(error.message, document)
            # A duplicate is reported above, with its place; an unresolved reference where it stands.
            if not (duplicates and "Duplicate parameter" in error.message) and not _is_unresolved(document, path):
                yield path, _short(error.message), "error"
    except RecursionError:
        # Valid, as far as anybody knows: chains of references may be long.
        yield (), "the validator could not finish: the schemas lead too deep into one another", "warning"
    except VALIDATOR_GAVE_UP as problem:
        reason = f"{type(problem).__name__}: {_short(str(problem))}"
        yield (), f"the validator could not read the document: {reason}", "error"


def _duplicate_parameters(document: dict[str, Any]) -> Iterator[tuple[DocumentPath, str]]:
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        levels = {(): item, **{(key,): value for key, value in item.items()}} if isinstance(item, dict) else {}
        for level, holder in levels.items():
            parameters = holder.get("parameters") if isinstance(holder, dict) else None
            seen: set[tuple[str, str]] = set()
            for index, reference in enumerate(parameters if isinstance(parameters, list) else ()):
                parameter = follow(document, reference)
                if isinstance(parameter, dict) and "name" in parameter:
                    name = (str(parameter.get("in")), str(parameter["name"]))
                    if name in seen:
                        message = f"the parameter `{name[1]}` in `{name[0]}` is there twice"
                        yield ("paths", path, *level, "parameters", index), message
                    seen.add(name)


def _path_named_in(message: str, document: dict[str, Any]) -> DocumentPath:
    """Some findings name their path in words only: "... for 'post' operation in '/bills/{billId}' ..."."""
    named = re.search(r"'(\w+)' operation in '([^']+)'", message)
    if named and isinstance(document.get("paths"), dict) and named[2] in document["paths"]:
        return ("paths", named[2], named[1])
    unexpected = re.search(r"Additional properties are not allowed \('([^']+)'", message)
    return (unexpected[1],) if unexpected and unexpected[1] in document else ()


def _is_unresolved(document: dict[str, Any], path: DocumentPath) -> bool:
    node: Any = document
    for step in path:
        try:
            node = node[step]
        except (LookupError, TypeError):
            return False
    return isinstance(node, dict) and UNRESOLVED in node


def _short(message: str) -> str:
    """The first paragraph; some messages begin with the whole value that they are about."""
    text = message.partition("\n\n")[0]
    if len(text) <= LONGEST_MESSAGE:
        return text
    verdict = re.search(r" is not [^{}\[\]]{1,200}$", text)
    return f"what stands here{verdict[0]}" if verdict else f"{text[:LONGEST_MESSAGE]}..."
