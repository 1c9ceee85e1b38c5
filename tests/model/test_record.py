"""The plan names every check, waivers never change a verdict, and what is written can be read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from conformance.model.canonical import LARGEST_WHOLE_NUMBER
from conformance.model.check import Catalogue, Topology
from conformance.model.record import Waiver, WaiverState, apply_waivers, plan_checks
from conformance.model.requirements import Feature, Level, Profile, Requirement
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Place, Result, Verdict

TODAY = date(2026, 11, 23)
FEATURES = list(Feature)[:4]

levels = st.one_of(st.none(), st.sampled_from(Level))
features = st.frozensets(st.sampled_from(FEATURES), max_size=3)


async def never_called(_: Any) -> None:
    """Catalogues need checks, and checks need bodies."""


def catalogue_of(
    needs: list[frozenset[Feature]], found: list[Level | None], mandatory: frozenset[Feature]
) -> Catalogue:
    """One check and one requirement for each of `needs`, with its level in the only profile."""
    requirements = [
        Requirement(f"API-R{number}", Level.MAY, "text", (), (), {"p": level} if level else {})
        for number, level in enumerate(found, start=1)
    ]
    optional = tuple(feature for feature in FEATURES if feature not in mandatory)
    catalogue = Catalogue(requirements, [Profile("p", "title", "text", tuple(mandatory), optional, ())])
    for number, needed in enumerate(needs, start=1):
        declare = catalogue.check(
            id=f"API-{number:03}",
            title="title",
            proves=[f"API-R{number}"],
            needs=sorted(needed),
            evidence=["something"],
            fails={"wrong": "it is right"},
            remedy="put it right",
        )
        declare(never_called)
    return catalogue


@st.composite
def plans(draw: st.DrawFn) -> tuple[Catalogue, Mapping[str, Any]]:
    needs = draw(st.lists(features, max_size=6))
    found = draw(st.lists(levels, min_size=len(needs), max_size=len(needs)))
    ids = [f"API-{number:03}" for number in range(1, len(needs) + 1)]
    options = {
        "declared": draw(features),
        "topology": Topology.INTER_PROXY,
        "only": draw(st.one_of(st.none(), st.frozensets(st.sampled_from(ids or ["none"])))),
        "deselected": draw(st.dictionaries(st.sampled_from(ids or ["none"]), st.just("because"), max_size=2)),
    }
    return catalogue_of(needs, found, draw(features)), options


@given(plans())
def test_the_plan_names_every_check_once_to_run_or_with_a_reason(made):
    catalogue, options = made
    plan = plan_checks(catalogue, catalogue.profiles["p"], **options)
    assert [entry.check for entry in plan] == list(catalogue.checks)
    present = frozenset(catalogue.profiles["p"].mandatory) | options["declared"]
    for entry in plan:
        level = catalogue.level_of(entry.check, catalogue.profiles["p"])
        applies = level is not None and entry.check.needs <= present
        selected = (options["only"] is None or entry.check.id in options["only"]) and (
            entry.check.id not in options["deselected"]
        )
        assert entry.run == (applies and selected)
        assert entry.run == (entry.reason == "")
        left_out = entry.unrun_result()
        assert left_out.verdict is (Verdict.NOT_RUN if applies else Verdict.NOT_APPLICABLE)
        assert entry.level is (level or Level.MAY)


@given(plans())
def test_what_a_mandatory_feature_needs_is_never_not_applicable(made):
    catalogue, options = made
    profile = catalogue.profiles["p"]
    for entry in plan_checks(catalogue, profile, **options):
        if entry.level is Level.MUST and entry.check.needs <= set(profile.mandatory):
            assert entry.unrun_result().verdict is Verdict.NOT_RUN


@given(st.lists(st.tuples(st.sampled_from(Verdict), st.integers(-2, 2)), max_size=6))
def test_a_waiver_is_applied_expired_unused_or_silent(cases):
    results = [
        Result(f"API-{number:03}", "title", Level.MUST, (), verdict, "reason")
        for number, (verdict, _) in enumerate(cases)
    ]
    waivers = [
        Waiver(f"API-{number:03}", "why", "who", TODAY + timedelta(days=days)) for number, (_, days) in enumerate(cases)
    ]
    states = {each.waiver.check: each.state for each in apply_waivers(waivers, results, TODAY)}
    for number, (verdict, days) in enumerate(cases):
        state = states.get(f"API-{number:03}")
        if verdict is Verdict.NOT_RUN:
            assert state is None
        elif days < 0:
            assert state is WaiverState.EXPIRED
        else:
            assert state is (WaiverState.APPLIED if verdict is Verdict.FAIL else WaiverState.UNUSED)


texts = st.text(max_size=20)
exact = st.integers(-LARGEST_WHOLE_NUMBER, LARGEST_WHOLE_NUMBER)
evidence = st.builds(
    Evidence,
    texts,
    st.sampled_from(EvidenceKind),
    st.dictionaries(texts, st.recursive(st.none() | st.booleans() | exact | texts, st.lists), max_size=3),
    texts,
)
whole_results = st.builds(
    Result,
    check=texts,
    title=texts,
    level=st.sampled_from(Level),
    proves=st.lists(texts, max_size=2).map(tuple),
    verdict=st.sampled_from(Verdict),
    reason=texts,
    expected=texts,
    seen=texts,
    next_step=texts,
    expectations=st.lists(st.builds(Expectation, texts, texts, texts, st.booleans()), max_size=2).map(tuple),
    evidence=st.lists(evidence, max_size=2).map(tuple),
    reproduce=texts,
    started=st.none() | texts,
    duration_s=st.integers(0, 10_000).map(lambda number: number / 100),
    place=st.none() | st.builds(Place, texts, st.integers(1), st.integers(1)),
)


@given(whole_results)
def test_a_result_survives_being_written_and_read(result):
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
