"""What results add up to: nothing but proof makes conformant, a fail stays a fail, and everything is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import ExitCode
from conformance.model.requirements import Level
from conformance.model.verdict import Outcome, Result, Verdict, exit_code_of, judge_outcome, totals_of

UNPROVEN = (Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.NOT_RUN)
CONFORMANT = (Outcome.CONFORMANT, Outcome.CONFORMANT_WITH_WAIVERS)


def result(number: int, level: Level, verdict: Verdict) -> Result:
    return Result(f"API-{number:03}", "title", level, ("API-R1",), verdict, "reason")


result_lists = st.lists(st.tuples(st.sampled_from(Level), st.sampled_from(Verdict)), max_size=8).map(
    lambda pairs: [result(number, *pair) for number, pair in enumerate(pairs)]
)
waived_checks = st.frozensets(st.integers(0, 7).map("API-{:03}".format))


@given(result_lists, waived_checks, st.booleans(), st.booleans())
def test_every_outcome_has_its_reason(results, waived, problems, interrupted):
    outcome = judge_outcome(results, waived=waived, waiver_problems=problems, interrupted=interrupted)
    musts = [each for each in results if each.level is Level.MUST]
    disqualified = any(each.verdict is Verdict.FAIL and each.check not in waived for each in musts)
    unproven = any(each.verdict in UNPROVEN for each in musts)
    proven = any(each.verdict is Verdict.PASS for each in musts)
    assert (outcome is Outcome.NOT_CONFORMANT) == (disqualified or problems)
    if outcome in CONFORMANT:
        assert proven
        assert not unproven
        assert not interrupted
        used = any(each.verdict is Verdict.FAIL and each.check in waived for each in results)
        assert (outcome is Outcome.CONFORMANT_WITH_WAIVERS) == used


@given(result_lists, waived_checks, st.booleans(), st.data())
def test_no_check_that_does_worse_makes_the_outcome_better(results, waived, interrupted, data):
    ranks = [Outcome.CONFORMANT, Outcome.CONFORMANT_WITH_WAIVERS, Outcome.INCOMPLETE, Outcome.NOT_CONFORMANT]

    def rank(given_results: list[Result]) -> int:
        outcome = judge_outcome(given_results, waived=waived, waiver_problems=False, interrupted=interrupted)
        return ranks.index(outcome)

    passed = [number for number, each in enumerate(results) if each.verdict is Verdict.PASS]
    if passed:
        number = data.draw(st.sampled_from(passed))
        worse = data.draw(st.sampled_from([Verdict.FAIL, *UNPROVEN, Verdict.NOT_APPLICABLE]))
        changed = [*results]
        changed[number] = replace(results[number], verdict=worse)
        assert rank(changed) >= rank(results)


@given(result_lists, st.sampled_from([Level.SHOULD, Level.MAY]), st.sampled_from(Verdict))
def test_should_and_may_never_decide(results, level, verdict):
    def outcome(given_results: list[Result]) -> Outcome:
        return judge_outcome(given_results, waived=frozenset(), waiver_problems=False, interrupted=False)

    assert outcome([*results, result(99, level, verdict)]) is outcome(results)


def test_nothing_proven_is_never_conformant():
    for results in ([], [result(0, Level.MUST, Verdict.NOT_APPLICABLE)], [result(0, Level.MAY, Verdict.PASS)]):
        outcome = judge_outcome(results, waived=frozenset(), waiver_problems=False, interrupted=False)
        assert outcome is Outcome.INCOMPLETE


@given(st.lists(st.sampled_from(Verdict)))
def test_totals_name_every_verdict_and_count_each_result_once(verdicts):
    totals = totals_of(verdicts)
    assert set(totals) == {verdict.value for verdict in Verdict}
    assert sum(totals.values()) == len(verdicts)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_conformant_subject_ends_with_0(outcome):
    assert (exit_code_of(outcome) is ExitCode.CONFORMANT) == (outcome in CONFORMANT)
