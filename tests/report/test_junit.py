"""JUnit readers see what happened, and no gate that counts failures and errors lets a bad run through."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverState
from conformance.model.verdict import Verdict
from conformance.report import junit
from conformance.report.material import Material

from . import records


def suite_of(record: RunRecord) -> ET.Element:
    top = ET.fromstring(junit.render(Material(record.to_json())))  # noqa: S314 -- our own output
    return top[0]


def case_of(suite: ET.Element, name: str) -> ET.Element:
    return next(case for case in suite.iter("testcase") if str(case.get("name")).startswith(name))


def test_each_verdict_is_shown_as_junit_readers_expect_it() -> None:
    suite = suite_of(records.not_conformant())
    failure = case_of(suite, "MTLS-001").find("failure")
    assert failure is not None
    assert failure.get("type") == "anonymous-served"
    told = dict(line.split(":", 1) for line in str(failure.text).splitlines())
    assert list(told) == ["why", "expected", "seen", "reason", "what to do", "reproduce"]
    assert told["what to do"].strip() == records.ANONYMOUS.check.remedy
    assert told["why"].strip() == records.WHY["MTLS-001"].partition("\n")[0]
    assert told["reproduce"].strip().startswith("meshmark certify")
    assert case_of(suite, "BREAK-001").find("error[@type='inconclusive']") is not None
    assert case_of(suite, "TRACE-001").find("error[@type='error']") is not None
    assert case_of(suite, "TRACE-004").find("skipped[@message='not selected by --only']") is not None
    assert case_of(suite, "RATE-004").find("skipped[@type='not-applicable']") is not None
    assert [child.tag for child in case_of(suite, "API-001")] == ["properties"]


def test_a_case_says_its_area_its_title_its_file_and_its_time() -> None:
    case = case_of(suite_of(records.not_conformant()), "ROUTE-003")
    assert case.attrib == {
        "classname": "ROUTE",
        "name": "ROUTE-003 Weights 90 : 10 hold over 2,000 calls",
        "file": "birth-registry.meshmark.yaml",
        "time": "6.310",
    }


def test_a_waived_fail_is_skipped_and_says_who_answers_for_it_until_when() -> None:
    case = case_of(suite_of(records.not_conformant()), "DISCOVERY-002")
    skipped = case.find("skipped")
    assert skipped is not None
    assert str(skipped.get("message")).startswith("failed, waived until 2027-01-31 by Jane Mwangi: ")
    assert case.find("properties/property[@name='waived']") is not None


def test_a_run_that_only_a_waiver_spoils_still_holds_a_failure() -> None:
    waiver = Waiver("MTLS-001", "no longer needed", "Jane Mwangi", date(2027, 1, 31))
    suite = suite_of(replace(records.conformant(), waivers=(AppliedWaiver(waiver, WaiverState.UNUSED),)))
    assert suite.get("failures") == "1"
    assert case_of(suite, "waiver for MTLS-001 is unused").find("failure[@type='waiver-unused']") is not None


def test_an_interrupted_run_holds_an_error() -> None:
    suite = suite_of(records.interrupted())
    assert suite.get("errors") == "1"
    error = case_of(suite, "run interrupted").find("error[@type='interrupted']")
    assert error is not None
    assert error.text == "Ctrl-C after 1 of 4 checks"


def test_a_run_in_which_a_mandatory_check_was_not_reached_holds_an_error() -> None:
    record = replace(records.interrupted(), interrupted=False, trouble="birth-registry never got ready")
    assert case_of(suite_of(record), "run incomplete").find("error[@type='incomplete']") is not None


def test_the_suite_has_the_properties_of_the_run() -> None:
    suite = suite_of(records.not_conformant())
    properties = {str(each.get("name")): each.get("value") for each in suite.findall("properties/property")}
    assert properties["outcome"] == "not-conformant"
    assert properties["profile"] == "mesh"
    assert properties["suite-version"] == "0.1.0"
    assert properties["seed"] == "1729"
    assert len(str(properties["record-sha256"])) == 64


def test_characters_that_xml_forbids_are_named_in_their_place() -> None:
    first, *rest = records.not_conformant().results
    nasty = replace(first, verdict=Verdict.FAIL, title="a\x00b\ud800\uffff]]>", seen="<&\x1b[31m\r\nsecond")
    case = case_of(suite_of(replace(records.not_conformant(), results=(nasty, *rest))), "MTLS-001")
    assert case.get("name") == "MTLS-001 a⟨U+0000⟩b�⟨U+FFFF⟩]]>"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "<&⟨U+001B⟩[31m second"
    assert "<&⟨U+001B⟩[31m\n" in str(failure.text)
