"""Sentences that a minister and a maintainer both understand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverSignature, WaiverState
from conformance.model.requirements import Level
from conformance.model.verdict import Verdict
from conformance.report.wording import (
    meaning,
    next_steps,
    outcome_sentence,
    seconds,
    subject_name,
    utc,
    waiver_sentence,
)

from . import records

NAME = "birth-registry 1.2 by Example Registries Ltd"
YES, NO = f"{NAME} is conformant with profile mesh", f"{NAME} is not conformant with profile mesh"
OPEN = f"It is not proven that {YES}"


def made_of(*verdicts: tuple[Level, Verdict], waive: int = 0) -> RunRecord:
    plan = tuple(
        records.entry(f"MTLS-{number:03d}", "Something holds", ["MTLS-R1"], level)
        for number, (level, _) in enumerate(verdicts)
    )
    results = tuple(
        records.judged(entry, verdict, reason="some-code") for entry, (_, verdict) in zip(plan, verdicts, strict=True)
    )
    failed = [result.check for result in results if result.verdict is Verdict.FAIL]
    waivers = [Waiver(check, "known", "Jane Mwangi", date(2027, 1, 31)) for check in failed[:waive]]
    return records.record(plan, results, waivers)


PASSED, FAILED, LOST = (Level.MUST, Verdict.PASS), (Level.MUST, Verdict.FAIL), (Level.MUST, Verdict.INCONCLUSIVE)
ADVISED = (Level.SHOULD, Verdict.FAIL)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (made_of(PASSED), f"{YES}: its one mandatory check passed."),
        (made_of(PASSED, PASSED, ADVISED), f"{YES}: all 2 mandatory checks passed."),
        (
            made_of(PASSED, PASSED, FAILED, waive=1),
            f"{YES}, with waivers: 2 of 3 mandatory checks passed and 1 failed under a waiver.",
        ),
        (
            made_of(PASSED, PASSED, ADVISED, waive=1),
            f"{YES}, with waivers: all 2 mandatory checks passed and 1 other check failed under a waiver.",
        ),
        (made_of(PASSED, FAILED), f"{NO}: 1 of 2 mandatory checks failed."),
        (
            made_of(PASSED, FAILED, FAILED, LOST, waive=1),
            f"{NO}: 1 of 4 mandatory checks failed, 1 failed under a waiver and 1 gave no proof.",
        ),
        (
            made_of(PASSED, LOST),
            f"{OPEN}: 1 of 2 mandatory checks gave no proof.",
        ),
        (
            made_of(FAILED, waive=1),
            f"{OPEN}: 1 of 1 mandatory check failed under a waiver.",
        ),
        (
            made_of(ADVISED),
            f"{OPEN}: no mandatory check applies.",
        ),
        (
            replace(made_of(PASSED), interrupted=True),
            f"{OPEN}: the run was interrupted and its one mandatory check passed.",
        ),
    ],
)
def test_the_outcome_is_one_plain_sentence(record: RunRecord, sentence: str) -> None:
    assert outcome_sentence(record.to_json()) == sentence


def test_a_waiver_that_does_not_hold_is_named_as_the_cause_and_as_the_next_step() -> None:
    expired = AppliedWaiver(Waiver("MTLS-000", "known", "Jane Mwangi", date(2026, 1, 1)), WaiverState.EXPIRED)
    record = replace(made_of(PASSED), waivers=(expired,)).to_json()
    assert "1 waiver has expired" in outcome_sentence(record)
    assert meaning(record).startswith("A waiver in the run file does not hold")
    assert "have their owners renew them" in next_steps(record)[0]


def test_every_outcome_has_a_meaning_and_a_next_step() -> None:
    for record in (made_of(PASSED), made_of(PASSED, FAILED, waive=1), made_of(FAILED), made_of(LOST), made_of(ADVISED)):
        assert meaning(record.to_json())
        assert next_steps(record.to_json())
    assert next_steps(replace(made_of(PASSED), interrupted=True).to_json()) == ["Run again, to the end."]


def test_a_subject_without_vendor_or_version_is_still_named() -> None:
    record = records.conformant().to_json()
    record["subject"] |= {"vendor": "", "version": ""}
    assert subject_name(record) == "birth-registry"


def test_times_and_durations_are_spelled_for_people() -> None:
    assert utc("2026-11-03T14:02:07.250Z") == "2026-11-03 14:02:07 UTC"
    assert [seconds(value) for value in (0.0, 0.0421, 2.14, 204.9)] == ["0 ms", "42 ms", "2.1 s", "3 min 24 s"]


def test_a_waiver_without_the_signature_that_the_profile_asks_for_is_named_as_the_cause_and_as_the_next_step() -> None:
    failed = made_of(FAILED)
    unsigned = AppliedWaiver(Waiver("MTLS-001", "known", "Jane Mwangi", date(2027, 1, 31)), WaiverState.UNSIGNED)
    record = replace(failed, waivers=(unsigned,)).to_json()
    assert record["outcome"] == "not-conformant"
    assert "1 waiver is not signed as the profile asks" in outcome_sentence(record)
    assert any("meshmark waiver sign" in step for step in next_steps(record))
    assert "is not signed by the role" in waiver_sentence(record["waivers"][0])


def test_who_has_signed_a_waiver_is_said_with_it() -> None:
    signature = WaiverSignature("The Ministry", "governance", "0" * 64, records.AT, "{}")
    waiver = Waiver("MTLS-001", "known", "Jane Mwangi", date(2027, 1, 31), signature)
    said = waiver_sentence(AppliedWaiver(waiver, WaiverState.APPLIED).to_json())
    assert said == "failed, waived until 2027-01-31 by Jane Mwangi (signed by The Ministry, governance body): known"
