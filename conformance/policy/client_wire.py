"""What a client and the policy admin service say to each other, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.documents.problems import Problem
from conformance.policy.store import Document, ProxyReport, ProxyState, Write

__all__ = [
    "ANY",
    "Committed",
    "Difference",
    "Judgement",
    "VersionStatus",
    "changes_of_json",
    "committed_of_answer",
    "condition_headers",
    "differences_of_json",
    "endpoint_path",
    "key_of_json",
    "note_header",
    "policy_path",
    "query_of",
    "report_of_json",
    "write_json",
]

ANY: Final = -1
"""In place of a version: whatever the policy is now, as long as it is there."""

Difference = tuple[Document | None, Document | None]
"""A document before and after; None: not there."""


@dataclass(frozen=True)
class Committed:
    """What became of a change: its version, whether it made that, and the documents (created, deleted, ...)."""

    version: int
    changed: bool
    changes: Mapping[PolicyKey, str]


@dataclass(frozen=True)
class Judgement:
    """What a change would do to the newest version, and everything that is wrong with it."""

    version: int
    changes: Mapping[PolicyKey, str]
    problems: Sequence[Problem]


@dataclass(frozen=True)
class VersionStatus:
    """What became of a version: `unreported`, `pending`, `rejected` or `applied`, and at which security servers."""

    version: int
    state: str
    proxies: Sequence[ProxyReport]


def query_of(**query: Any) -> dict[str, str]:  # noqa: ANN401 -- whatever has a text
    """The parameters of a query that are given."""
    return {name: str(value) for name, value in query.items() if value is not None}


def policy_path(key: PolicyKey) -> str:
    """Where a policy is."""
    return f"/v1/policies/{key[0].value}/{quote(key[1], safe='')}"


def endpoint_path(service: str, host: str, port: int) -> str:
    """Where an endpoint of a service is."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"/v1/services/{quote(service, safe='')}/endpoints/{address}"


def condition_headers(expected: int | None) -> dict[str, str]:
    """What must be true of a policy; None: it must not be there."""
    if expected is None:
        return {"if-none-match": "*"}
    return {"if-match": "*" if expected == ANY else f'"{expected}"'}


def note_header(note: str) -> dict[str, str]:
    """Why, for the audit log."""
    return {"x-change-note": note} if note else {}


def write_json(write: Write) -> dict[str, Any]:
    """One document of a change."""
    expected = {} if write.expected is None else {"expected": write.expected}
    return {"kind": write.key[0].value, "name": write.key[1], "document": write.document, **expected}


def key_of_json(named: Mapping[str, Any]) -> PolicyKey:
    """Kind and name."""
    return Kind(named["kind"]), str(named["name"])


def changes_of_json(answer: Mapping[str, Any]) -> dict[PolicyKey, str]:
    """What became of each document."""
    return {key_of_json(each): each["change"] for each in answer["changes"]}


def committed_of_answer(answer: httpx.Response) -> Committed:
    """What became of a change."""
    found = answer.json()
    return Committed(found["version"], found["changed"], changes_of_json(found))


def differences_of_json(answer: Mapping[str, Any]) -> dict[PolicyKey, Difference]:
    """Each document before and after."""
    return {key_of_json(each): (each["before"], each["after"]) for each in answer["changes"]}


def report_of_json(found: Mapping[str, Any]) -> ProxyReport:
    """What became of a version at one security server."""
    return ProxyReport(**{**found, "state": ProxyState(found["state"])})
