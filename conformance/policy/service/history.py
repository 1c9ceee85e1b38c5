"""Operations on the history: the audit log, and what differs between two versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.service import parameters
from conformance.policy.service.answers import ok
from conformance.policy.service.edge import Call
from conformance.policy.service.forms import change_word
from conformance.policy.service.problems import Flaw, Problem, Reason
from conformance.policy.store import Document, Entry, Store

__all__ = ["History"]

MOST_ENTRIES = 100


class History:
    """The history of a store. It is only ever added to."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_versions(self, call: Call) -> Response:
        """A page of the audit log, newest first; of one policy, if its kind and name are given."""
        before = parameters.number(call, "before", least=1)
        limit = parameters.number(call, "limit", least=1, most=MOST_ENTRIES) or MOST_ENTRIES
        kind = parameters.word(call, "kind", one_of=[*Kind])
        name = parameters.word(call, "name")
        if (kind is None) != (name is None):
            missing = "kind" if kind is None else "name"
            flaw = Flaw("is required: `kind` and `name` go together", parameter=missing)
            raise Problem(Reason.INVALID, "a parameter is missing", [flaw])
        key = (Kind(kind), name) if kind is not None and name is not None else None
        entries = await self._store.history(key=key, before=before, limit=limit + 1)
        following = {"next": entries[limit - 1].version} if len(entries) > limit else {}
        return ok({"items": [_entry(entry) for entry in entries[:limit]], **following})

    async def get_version(self, call: Call) -> Response:
        """One entry of the audit log, with each document before and after."""
        version = parameters.version_in_path(call)
        entries = await self._store.history(before=version + 1, limit=1)
        if not entries or entries[0].version != version:
            raise Problem(Reason.NOT_FOUND, "there is no such version")
        return ok(_entry(entries[0]) | {"changes": differences(entries[0].changes)})

    async def diff(self, call: Call) -> Response:
        """What differs between two versions."""
        newest = await self._store.version()
        ends = {}
        for name in ("from", "to"):
            ends[name] = parameters.required_number(call, name, least=0)
            if ends[name] > newest:
                flaw = Flaw(f"there is no such version; the newest is {newest}", parameter=name)
                raise Problem(Reason.NOT_FOUND, "there is no such version", [flaw])
        old, new = await self._store.documents(ends["from"]), await self._store.documents(ends["to"])
        changes: dict[PolicyKey, tuple[Document | None, Document | None]] = {}
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                before, after = old.get(key), new.get(key)
                changes[key] = (before.document if before else None, after.document if after else None)
        return ok({**ends, "changes": [each for each in differences(changes) if each["change"] != "unchanged"]})


def differences(changes: Mapping[PolicyKey, tuple[Document | None, Document | None]]) -> list[dict[str, Any]]:
    """Documents before and after, as in the contract."""
    return [
        {
            "kind": kind.value,
            "name": name,
            "change": change_word(before, after, same=before == after),
            "before": before,
            "after": after,
        }
        for (kind, name), (before, after) in changes.items()
    ]


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "version": entry.version,
        "at": entry.at.replace("+00:00", "Z"),
        "author": {"identity": entry.author.identity, "role": entry.author.role},
        "note": entry.note,
        "changes": [
            {"kind": kind.value, "name": name, "change": change_word(before, after, same=False)}
            for (kind, name), (before, after) in entry.changes.items()
        ],
    }
