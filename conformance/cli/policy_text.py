"""What the commands of `meshmark policy` print: plain lines for people and pipes, JSON and YAML for programs.

Invariant: nothing that somebody else wrote can steer a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from conformance.model.policies import PolicyKey
from conformance.policy.client import Difference
from conformance.policy.documents import difference, difference_text
from conformance.policy.documents.problems import name_of
from conformance.policy.store import Document, ProxyReport, Stored, Write
from conformance.report.text import one_line, visible

__all__ = [
    "STATES",
    "as_json",
    "as_yaml",
    "changes",
    "differences",
    "differences_as_json",
    "differences_of",
    "entries",
    "listing",
    "reports",
    "reports_as_json",
]

STATES = {
    "unreported": "no security server has been told anything about it",
    "pending": "some security servers have not answered yet",
    "rejected": "some security servers have rejected it, and keep what they had",
    "applied": "every security server that it concerns has applied it",
}


def as_json(value: object) -> str:
    """JSON."""
    return json.dumps(value, indent=2, default=dict)


def as_yaml(documents: Iterable[Document]) -> str:
    """YAML as `meshmark policy apply` reads it."""
    # The same values as JSON has, so nothing shared becomes an alias.
    plain = json.loads(as_json(list(documents)))
    return yaml.safe_dump_all(plain, sort_keys=False, explicit_start=len(plain) > 1, width=120)


def listing(documents: Mapping[PolicyKey, Stored]) -> str:
    """Each policy and the version that changed it last."""
    if not documents:
        return "there are no policies"
    return _columns([[name_of(key), f"changed in version {each.changed_in}"] for key, each in documents.items()])


def changes(writes: Iterable[Write], now: Mapping[PolicyKey, Stored]) -> dict[PolicyKey, Difference]:
    """What each write replaces, and by what."""
    return {write.key: (now[write.key].document if write.key in now else None, write.document) for write in writes}


def differences(writes: Iterable[Write], now: Mapping[PolicyKey, Stored]) -> str:
    """What writes change, for people."""
    return differences_of(changes(writes, now))


def differences_of(found: Mapping[PolicyKey, Difference]) -> str:
    """What differs, for people."""
    before, after = ({key: pair[side] for key, pair in found.items()} for side in (0, 1))
    return visible(difference_text(difference(before, after))) or "nothing differs"


def differences_as_json(found: Mapping[PolicyKey, Difference]) -> str:
    """What differs, for programs."""
    return as_json(
        [
            {"policy": name_of(key), "before": before, "after": after}
            for key, (before, after) in sorted(found.items())
            if before != after
        ]
    )


def reports(found: Sequence[ProxyReport]) -> str:
    """How security servers stand, for people."""
    if not found:
        return "no security server is concerned"
    rows = []
    for each in found:
        row = [each.proxy, f"version {each.version}", each.state.value, f"since {each.since}"]
        rows.append([*row, one_line(each.reason_in_short)] if each.reason else row)
    return _columns(rows)


def reports_as_json(version: int, state: str, found: Sequence[ProxyReport]) -> str:
    """How security servers stand, for programs."""
    return as_json({"version": version, "state": state, "security_servers": [asdict(each) for each in found]})


def entries(found: Sequence[Mapping[str, Any]]) -> str:
    """The audit log, for people."""
    if not found:
        return "nothing has been changed yet"
    lines = []
    for each in found:
        lines.append(f"version {each['version']}  {each['at']}  {each['author']['identity']}")
        lines += [f"  note: {one_line(each['note'])}"] if each["note"] else []
        lines += [f"  {change['kind']}/{change['name']} {change['change']}" for change in each["changes"]]
    return "\n".join(lines)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows if place < len(row)) for place in range(max(map(len, rows)))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
