"""Whatever is committed, refused and read in whatever order: a store says the same as a plain list of dictionaries."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from stores import ANNA, agree, service

from conformance.model.errors import UsageError
from conformance.model.policies import PolicyKey
from conformance.policy.store import Conflict, Document, Stored, Write
from conformance.policy.store.kept import KeptStore
from conformance.policy.store.opening import open_store

NAMES = st.sampled_from(["births", "deaths", "a b", "é"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
DOCUMENTS = st.none() | st.fixed_dictionaries({"value": st.sampled_from([0, 1, True, 1.0, "x"]) | VALUES})
CHANGES = st.dictionaries(NAMES, DOCUMENTS, max_size=3)

State = dict[PolicyKey, Stored]


def exactly(value: Any) -> object:
    """A value that equals only the same JSON: in Python, `1` equals `True` and `1.0`."""
    match value:
        case dict():
            return {key: exactly(each) for key, each in value.items()}
        case list():
            return [exactly(each) for each in value]
    return type(value).__name__, value


class StoreMachine(RuleBasedStateMachine):
    """Two processes use one store; the model is what each version holds."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._runner = asyncio.Runner()
        self._versions: list[State] = [{}]
        self._notes: list[str] = []

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        self._stores: list[KeptStore] = [self.run(open_store(self._url)) for _ in range(2)]

    def commit(self, who: int, changes: dict[str, Document | None], judge: Any = agree, **expected: int) -> int:
        writes = [Write(service(name), document, expected.get(name)) for name, document in changes.items()]
        note = f"note {len(self._versions)}"
        version = self.run(self._stores[who].commit(writes, author=ANNA, note=note, judge=judge))
        state = dict(self._versions[-1])
        for write in writes:
            there = state.get(write.key)
            if write.document is None:
                state.pop(write.key, None)
            elif there is None or exactly(there.document) != exactly(write.document):
                state[write.key] = Stored(write.document, len(self._versions))
        if state != self._versions[-1] or any(state[key] is not self._versions[-1][key] for key in state):
            self._versions.append(state)
            self._notes.append(note)
        assert version == len(self._versions) - 1
        return int(version)

    @rule(who=st.integers(0, 1), changes=CHANGES)
    def commit_something(self, who: int, changes: dict[str, Document | None]) -> None:
        self.commit(who, changes)

    @rule(who=st.integers(0, 1), data=st.data())
    def roll_back(self, who: int, data: st.DataObject) -> None:
        version = data.draw(st.integers(0, len(self._versions) - 1))
        then = self.run(self._stores[who].documents(version))
        now = self.run(self._stores[who].documents())
        changes = {name: then[kind, name].document if (kind, name) in then else None for kind, name in {*then, *now}}
        self.commit(who, changes)

    @rule(who=st.integers(0, 1), changes=CHANGES, data=st.data())
    def commit_knowingly(self, who: int, changes: dict[str, Document | None], data: st.DataObject) -> None:
        newest = self._versions[-1]
        expected = {name: data.draw(st.integers(0, len(self._versions))) for name in changes}
        wrong = {
            service(name)
            for name, version in expected.items()
            if version != (newest[service(name)].changed_in if service(name) in newest else 0)
        }
        if not wrong:
            self.commit(who, changes, **expected)
            return
        with pytest.raises(Conflict) as refused:
            self.commit(who, changes, **expected)
        assert refused.value.documents.keys() == wrong

    @rule(who=st.integers(0, 1), changes=CHANGES)
    def be_refused(self, who: int, changes: dict[str, Document | None]) -> None:
        def refuse(documents: Mapping[PolicyKey, Document], writes: Sequence[Write]) -> None:
            raise UsageError("no", next_step="give up")

        writes = [Write(service(name), document) for name, document in changes.items()]
        # What changes nothing is not judged.
        with contextlib.suppress(UsageError):
            self.run(self._stores[who].commit(writes, author=ANNA, note="refused", judge=refuse))

    @rule(who=st.integers(0, 1))
    def open_again(self, who: int) -> None:
        self.run(self._stores[who].close())
        self._stores[who] = self.run(open_store(self._url))

    @invariant()
    def both_say_what_the_model_says(self) -> None:
        for store in self._stores:
            version = len(self._versions) - 1
            assert self.run(store.version()) == version
            assert exactly_all(self.run(store.documents())) == exactly_all(self._versions[-1])

    def teardown(self) -> None:
        if not hasattr(self, "_stores"):
            return
        for version, state in enumerate(self._versions):
            assert exactly_all(self.run(self._stores[0].documents(version))) == exactly_all(state)
        entries = self.run(self._stores[1].history(limit=10_000))[::-1]
        assert [entry.version for entry in entries] == list(range(1, len(self._versions)))
        assert [entry.note for entry in entries] == self._notes
        for entry in entries:
            before, after = self._versions[entry.version - 1], self._versions[entry.version]
            changed = {key for key in {*before, *after} if before.get(key) is not after.get(key)}
            assert entry.changes.keys() == changed
            for key, (was, now) in entry.changes.items():
                assert exactly(was) == exactly(before[key].document if key in before else None)
                assert exactly(now) == exactly(after[key].document if key in after else None)
        for store in self._stores:
            self.run(store.close())
        self._runner.close()


def exactly_all(state: Mapping[PolicyKey, Stored]) -> object:
    return {key: (exactly(stored.document), stored.changed_in) for key, stored in state.items()}


ATTEMPTS = settings(
    max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def test_a_store_in_sqlite_says_what_the_model_says() -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(100_000))
        run_state_machine_as_test(lambda: StoreMachine(str(Path(folder) / f"{next(numbers)}.db")), settings=ATTEMPTS)


def test_a_store_in_postgres_says_what_the_model_says(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres")
    with server.database() as name:

        def machine() -> StoreMachine:
            server.ask("DROP SCHEMA IF EXISTS meshmark CASCADE", name)
            return StoreMachine(server.url(name))

        run_state_machine_as_test(machine, settings=ATTEMPTS)
