"""What reports in the JSON of other standards have in common.

Invariants: the same record makes the same bytes and the same identifiers, on every machine and in every year; two
things never share an identifier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from conformance.report.findings import RecordJson
from conformance.report.text import cut, visible

__all__ = ["LONGEST_PATH", "evidence_list", "filled", "identifier", "json_document", "several_lines", "uri_path"]

LONGEST_PATH = 4_096
"""Characters; nothing longer is a file's path, whatever a record says."""
INDENTED_LEVELS = 5
NAMESPACE = uuid5(NAMESPACE_URL, "urn:meshmark:report")


def identifier(*parts: str) -> str:
    """The UUID (version 5, RFC 9562) of what the parts name together."""
    return str(uuid5(NAMESPACE, json.dumps(parts)))


def json_document(document: Mapping[str, Any]) -> bytes:
    """A document as a file: in the order of its standard, UTF-8, a line feed at the end.

    The upper levels are indented by two blanks; what lies deeper stands in one line, for indenting it all takes several
    times as long.
    """
    return f"{_spelled(document, 0)}\n".encode()


def _spelled(value: Any, level: int) -> str:  # noqa: ANN401 -- any value of JSON
    if level < INDENTED_LEVELS and value and isinstance(value, dict | list):
        inner = "  " * (level + 1)
        if isinstance(value, dict):
            items = [f"{inner}{_in_one_line(key)}: {_spelled(each, level + 1)}" for key, each in value.items()]
        else:
            items = [f"{inner}{_spelled(each, level + 1)}" for each in value]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return "\n".join([opening, ",\n".join(items), f"{'  ' * level}{closing}"])
    return _in_one_line(value)


def _in_one_line(value: Any) -> str:  # noqa: ANN401 -- any value of JSON
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that say nothing (None, empty text, empty lists): standards forbid most of them."""
    return {key: value for key, value in values.items() if value is not None and value not in ("", [], {})}


def several_lines(text: str) -> str:
    """The text bounded and without what may steer a reader's program; its lines stay."""
    return visible(cut(text))


def uri_path(path: str) -> str:
    """A path as part of a URI (RFC 3986): whatever may mean something there is percent-encoded."""
    return quote(path, safe="/")


def evidence_list(result: RecordJson) -> list[dict[str, str]]:
    """The evidence of a result by name, kind and digest, by which it is found in a bundle."""
    return [
        {"name": several_lines(each["name"]), "kind": each["kind"], "sha256": each["sha256"]}
        for each in result["evidence"]
    ]
