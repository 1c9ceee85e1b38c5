"""One set of documents uses every key that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.policy.documents import judge, parse_documents, to_document, to_policy
from conformance.policy.documents.schema import policy_schema

EXAMPLE = Path(__file__).with_name("every_key.yaml")
WITHOUT_THE_DEFAULT = {("mesh", "name"), ("mesh", "authentication")}


def _keys_of_schema() -> set[str]:
    return {key for definition in policy_schema()["$defs"].values() for key in definition.get("properties", {})}


def _keys_in(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from value
    for each in inner:
        yield from _keys_in(each)


def test_it_uses_every_key_and_nothing_is_wrong_with_it() -> None:
    documents = parse_documents(EXAMPLE.read_text("utf-8"), source=EXAMPLE.name)
    assert set(_keys_in([dict(each.document) for each in documents])) >= _keys_of_schema()
    judge({each.key: each.document for each in documents}, [])


def test_it_comes_back_as_it_was_written_but_for_defaults() -> None:
    for each in parse_documents(EXAMPLE.read_text("utf-8"), source=EXAMPLE.name):
        kind, _ = each.key
        left_out = {key for known, key in WITHOUT_THE_DEFAULT if known == kind}
        written = {key: value for key, value in each.document.items() if key not in left_out}
        back = to_document(to_policy(each.document))
        for route in written.get("routes", []):
            route["split"][0]["group"] = ""
        assert back == written
