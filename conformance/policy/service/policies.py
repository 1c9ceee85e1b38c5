"""Operations on policies: read, put, patch and delete one; change, validate or roll back several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from conformance.model.policies import MESH, Kind, PolicyKey
from conformance.policy.service import parameters
from conformance.policy.service.answers import ok
from conformance.policy.service.edge import Call
from conformance.policy.service.forms import ChangesForm, RollbackForm, is_name, name_of, read
from conformance.policy.service.parameters import Conditions, entity_tag
from conformance.policy.service.patches import patched
from conformance.policy.service.problems import MOST_FLAWS, Flaw, Problem, Reason
from conformance.policy.service.writing import Change, Writer, newest
from conformance.policy.store import Document, Store, Stored, Write

__all__ = ["Policies"]

MOST_LISTED = 1_000
LISTED = 100
STATUS_OF_POLICY = "../../versions/{}/status"
STATUS_OF_CHANGES = "versions/{}/status"


class Policies:
    """The policies of a store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

    async def list_policies(self, call: Call) -> Response:
        """A page of all policies, by kind and name, as of one version."""
        asked = parameters.number(call, "version", least=0)
        kind = parameters.word(call, "kind", one_of=[*Kind])
        after = parameters.word(call, "after") or ""
        limit = parameters.number(call, "limit", least=1, most=MOST_LISTED) or LISTED
        version, documents = await newest(self._store)
        if asked is not None:
            version = _existing(asked, version)
            documents = await self._store.documents(version)
        names = sorted((name_of(key), key) for key in documents if kind in {None, key[0].value})
        page = [each for each in names if each[0] > after][: limit + 1]
        items = [_item(key, documents[key]) for _, key in page[:limit]]
        following = {"next": page[limit - 1][0]} if len(page) > limit else {}
        return ok({"version": version, "items": items, **following})

    async def get_policy(self, call: Call) -> Response:
        """One policy, as it was written."""
        key = parameters.policy_key(call)
        version = parameters.number(call, "version", least=1)
        if version is not None:
            _existing(version, await self._store.version())
        stored = await self._store.document(key, version)
        if stored is None:
            raise _absent(key)
        headers = {"etag": entity_tag(stored.changed_in)}
        if stored.changed_in in parameters.tags_known(call):
            return Response(status_code=304, headers=headers)
        return ok(stored.document, headers=headers)

    async def put_policy(self, call: Call) -> Response:
        """Make a policy, or replace it as a whole."""
        key = parameters.policy_key(call)
        if not is_name(key[1]):
            reason = "must be 1 to 63 lower-case letters, digits and dashes"
            raise Problem(Reason.INVALID, "the name is not valid", [Flaw(reason, parameter="name")])
        return await self._change_one(call, key, lambda _: call.body, create=True)

    async def patch_policy(self, call: Call) -> Response:
        """Change a part of a policy."""
        key = parameters.policy_key(call)
        return await self._change_one(call, key, lambda document: patched(call.media_type, document, call.body))

    async def delete_policy(self, call: Call) -> Response:
        """Remove a policy."""
        return await self._change_one(call, parameters.policy_key(call), lambda _: None)

    async def change_policies(self, call: Call) -> Response:
        """Several policies at once: all of it happens, or nothing."""
        writes, before = await self._writes(read(ChangesForm, call.body))
        unsaid = [
            Flaw("say in `expected` in which version it was changed when you read it", name_of(write.key))
            for write in writes
            if write.expected is None
        ]
        if unsaid:
            raise Problem(Reason.PRECONDITION_REQUIRED, "existing policies are changed by versions known only", unsaid)
        change = await self._writer.commit(call, writes, before, parameters.note(call), Reason.CONFLICT)
        return _changed(change, STATUS_OF_CHANGES)

    async def validate(self, call: Call) -> Response:
        """What a change would do, and everything that is wrong with it. Nothing is changed."""
        writes, _ = await self._writes(read(ChangesForm, call.body))
        version, changes, flaws = await self._writer.rehearse(writes)
        answer = Change(version, changes).to_json()
        return ok(
            {
                "valid": not flaws,
                "version": version,
                "changes": answer["changes"],
                "errors": [flaw.to_json() for flaw in flaws[:MOST_FLAWS]],
            }
        )

    async def roll_back(self, call: Call) -> Response:
        """Make a new version in which everything is as it was in an old one."""
        target = read(RollbackForm, call.body).to
        version, before = await newest(self._store)
        if target > version:
            flaw = Flaw(f"there is no such version; the newest is {version}", pointer="/to")
            raise Problem(Reason.INVALID, "there is no version to go back to", [flaw])
        wanted = await self._store.documents(target)
        writes = [
            Write(key, _document(wanted.get(key)), _changed_in(before.get(key)))
            for key in sorted(before.keys() | wanted.keys())
            if _document(before.get(key)) != _document(wanted.get(key))
        ]
        if not writes:
            return _changed(Change(version, {}), STATUS_OF_CHANGES)
        note = parameters.note(call) or f"Back to version {target}"
        return _changed(await self._writer.commit(call, writes, before, note, Reason.CONFLICT), STATUS_OF_CHANGES)

    async def _change_one(
        self, call: Call, key: PolicyKey, make: Callable[[Document], Any], *, create: bool = False
    ) -> Response:
        asked = parameters.conditions(call)
        stored = await self._store.document(key)
        if stored is None and not create:
            raise _absent(key)
        _check(asked, stored, key)
        document = make(stored.document if stored else {})
        if document is not None:
            _check_name(document, key)
        write = Write(key, document, _changed_in(stored))
        before = {key: stored} if stored else {}
        change = await self._writer.commit(call, [write], before, parameters.note(call), Reason.STALE)
        if document is None:
            return _changed(change, STATUS_OF_POLICY)
        changed_in = change.version if change.changed or stored is None else stored.changed_in
        return _changed(
            Change(changed_in, change.changes), STATUS_OF_POLICY, tag=entity_tag(changed_in), created=stored is None
        )

    async def _writes(self, form: ChangesForm) -> tuple[list[Write], Mapping[PolicyKey, Stored]]:
        keys = [change.key for change in form.changes]
        twice = [
            Flaw("is there twice", document=name_of(key), pointer=f"/changes/{place}")
            for place, key in enumerate(keys)
            if keys.index(key) < place
        ]
        if twice:
            raise Problem(Reason.INVALID, "a policy is changed once at most", twice)
        before = await self._store.documents()
        for change in form.changes:
            if change.document is not None:
                _check_name(change.document, change.key)
        return [
            Write(
                change.key,
                change.document,
                0 if change.expected is None and change.key not in before else change.expected,
            )
            for change in form.changes
        ], before


def _check(asked: Conditions, stored: Stored | None, key: PolicyKey) -> None:
    """Whether what the author knows of the policy is still so."""
    name = name_of(key)
    if stored is None:
        if asked.exists or asked.match is not None:
            raise Problem(Reason.STALE, f"{name} is not there", [Flaw("is not there", name, version=0)])
        return
    headers = {"etag": entity_tag(stored.changed_in)}
    flaws = [Flaw(f"was changed in version {stored.changed_in}", name, version=stored.changed_in)]
    if asked.absent:
        raise Problem(Reason.STALE, f"{name} is there already", flaws, headers)
    if asked.match is None and not asked.exists:
        detail = f"{name} is there already: send the `ETag` under which you have read it as `If-Match`"
        raise Problem(Reason.PRECONDITION_REQUIRED, detail, flaws, headers)
    if asked.match is not None and stored.changed_in not in asked.match:
        raise Problem(Reason.STALE, f"{name} is not what you have read; read again, then decide again", flaws, headers)


def _check_name(document: Any, key: PolicyKey) -> None:  # noqa: ANN401 -- any value of JSON
    """A policy says its kind and name itself; both must be those of its address."""
    if not isinstance(document, dict):
        raise Problem(Reason.INVALID, "the body is no policy", [Flaw("must be an object", document=name_of(key))])
    # The one policy of the mesh need not say its name.
    said = ({"name": MESH} if key[0] is Kind.MESH else {}) | document
    flaws = [
        Flaw(f"must be `{value}`, as the address says", name_of(key), f"/{field}")
        for field, value in (("kind", key[0].value), ("name", key[1]))
        if said.get(field) != value
    ]
    if flaws:
        raise Problem(Reason.INVALID, "the policy is not the one of its address", flaws)


def _changed(change: Change, status: str, *, tag: str = "", created: bool = False) -> Response:
    """The answer to a change. The address of the status is relative, so it is right behind a prefix of a mesh, too."""
    headers = {"location": status.format(change.version), **({"etag": tag} if tag else {})}
    return ok(change.to_json(), status=201 if created else 200, headers=headers)


def _item(key: PolicyKey, stored: Stored) -> dict[str, Any]:
    return {"kind": key[0].value, "name": key[1], "changed_in": stored.changed_in, "document": stored.document}


def _existing(version: int, last: int) -> int:
    if version > last:
        raise Problem(Reason.NOT_FOUND, f"there is no such version; the newest is {last}")
    return version


def _absent(key: PolicyKey) -> Problem:
    return Problem(Reason.NOT_FOUND, f"there is no policy {name_of(key)}")


def _document(stored: Stored | None) -> Document | None:
    return stored.document if stored else None


def _changed_in(stored: Stored | None) -> int:
    return stored.changed_in if stored else 0
