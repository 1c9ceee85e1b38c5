"""Several modifiers are one: each gets what the one before has made."""

from __future__ import annotations

import inspect

from conformance.controlplane.behaviour import Behaviour
from conformance.mesh import Modifier, Modifiers
from conformance.policy.store import ProxyReport, ProxyState

REPORT = ProxyReport(1, "things", ProxyState.PENDING, since="2026-01-01T00:00:00Z")


class Adds(Modifier):
    def __init__(self, word: str) -> None:
        self._word = word

    def arguments(self, application: str, arguments: list[str]) -> list[str]:
        return [*arguments, self._word]


class Deaf(Behaviour):
    pass


class Tells(Modifier):
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def behaviour(self) -> Behaviour:
        return self._behaviour


class Silent(Modifier):
    def report(self, report: ProxyReport) -> ProxyReport | None:
        return None


def test_whatever_one_can_change_several_can() -> None:
    changeable = {name for name, _ in inspect.getmembers(Modifier, inspect.isfunction) if not name.startswith("_")}
    assert changeable
    assert changeable <= vars(Modifiers).keys()


def test_each_gets_what_the_one_before_has_made() -> None:
    assert Modifiers([Adds("first"), Modifier(), Adds("second")]).arguments("things", []) == ["first", "second"]
    assert Modifiers().arguments("things", ["as it was"]) == ["as it was"]


def test_the_first_changed_behaviour_counts() -> None:
    first, second = Deaf(), Deaf()
    assert Modifiers([Modifier(), Tells(first), Tells(second)]).behaviour() is first
    assert type(Modifiers([Modifier()]).behaviour()) is Behaviour


def test_who_wants_nothing_to_be_said_has_the_last_word() -> None:
    assert Modifiers([Silent(), Modifier()]).report(REPORT) is None
    assert Modifiers([Modifier()]).report(REPORT) is REPORT


def test_one_more_counts_until_the_end_of_its_block() -> None:
    modifiers = Modifiers()
    assert not modifiers
    with modifiers.joined_by(Adds("one more")):
        assert modifiers
        assert modifiers.arguments("things", []) == ["one more"]
    assert not modifiers
