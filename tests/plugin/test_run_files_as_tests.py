"""A run file is a file of tests, so what people know of pytest just works: selection, reruns, reports, workers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from typing import Any

import pytest
from workplace import CONTRACT, Workplace, results

from conformance.checks.catalogue import complete_catalogue
from conformance.model.requirements import Level

CHEAP = "ROUTE-001,ROUTE-002,API-001,API-002"


def with_a_key_twice(workplace: Workplace, name: str = "things") -> str:
    """A run file whose API-001 fails, and everything else of `CHEAP` passes."""
    workplace.write("twice.yaml", CONTRACT.replace("openapi:", "openapi: 3.0.0\nopenapi:"))
    return workplace.run_file(name, subject={"contracts": ["twice.yaml"]})


def verdicts(record: dict[str, Any]) -> dict[str, str]:
    return {check: result["verdict"] for check, result in results(record).items()}


def assert_adds_up(record: dict[str, Any]) -> None:
    """Every check of the catalogue is there once, and the totals count them."""
    known = [check.id for check in complete_catalogue().checks]
    assert [entry["check"] for entry in record["plan"]] == known
    assert [result["check"] for result in record["results"]] == known
    counted = Counter(result["verdict"] for result in record["results"])
    totals = dict(record["totals"])
    assert totals.pop("planned") == len(known)
    assert totals.pop("waived") == 0
    assert {verdict: number for verdict, number in totals.items() if number} == counted


def test_every_check_is_an_item_named_by_its_id(workplace, pytester, monkeypatch):
    # As users have it: the plugin is found by its entry point.
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    file = workplace.run_file()
    done = pytester.runpytest_subprocess("--collect-only", "-q")
    assert done.ret == 0
    expected = [f"{file}::{check.id}" for check in complete_catalogue().checks]
    assert [line for line in done.outlines if "::" in line] == expected
    assert not (workplace.folder / "meshmark-report").exists()


@pytest.mark.parametrize("level", [level.value for level in Level])
def test_levels_are_markers(level, workplace, run_pytest):
    catalogue = complete_catalogue()
    profile = catalogue.profiles["govstack"]
    wanted = [
        check.id for check in catalogue.checks if (catalogue.level_of(check, profile) or Level.MAY).value == level
    ]
    done = run_pytest("--collect-only", "-q", "-m", level.lower(), workplace.run_file(profile="govstack"))
    assert [line.partition("::")[2] for line in done.outlines if "::" in line] == wanted


def test_keywords_select_checks_and_what_was_not_selected_is_recorded(workplace, run_pytest):
    done = run_pytest(workplace.run_file(), "-v", "-k", "MTLS-001 or (ROUTE and not ROUTE-003)")
    record = workplace.record()
    run = [check for check, verdict in verdicts(record).items() if verdict == "pass"]
    assert done.ret == 4
    assert run[0] == "MTLS-001"
    assert len(run) > 2
    assert {check.partition("-")[0] for check in run[1:]} == {"ROUTE"}
    assert "ROUTE-003" not in run
    assert results(record)["ROUTE-003"]["verdict"] == "not-run"
    assert results(record)["ROUTE-003"]["seen"].startswith("deselected in pytest")
    assert record["outcome"] == "incomplete"
    assert_adds_up(record)
    done.stdout.fnmatch_lines(["things.meshmark.yaml::MTLS-001 PASSED*", "*= meshmark =*", "It is not proven*"])


def test_a_fail_shows_what_was_expected_and_seen_its_evidence_and_how_to_see_it_again(workplace, run_pytest):
    file = with_a_key_twice(workplace)
    done = run_pytest(file, "--meshmark-only", CHEAP, "-k", "API", "-x", "--junitxml", "their-own.xml")
    assert done.ret == 1
    done.stdout.fnmatch_lines(
        [
            "*API-001 Every contract is a valid OpenAPI document",
            "verdict:   fail (contract-invalid), MUST",
            "expected:  Every contract keeps the rules*",
            "seen:      1 problems; the first at *twice.yaml:2:1: the key `openapi`*",
            "next:      *",
            "evidence:  contracts: {*",
            f"reproduce: meshmark certify {file} --only API-001 --seed 1",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    record = workplace.record()
    found = verdicts(record)
    assert (found["API-001"], found["API-002"], found["ROUTE-001"]) == ("fail", "not-run", "not-run")
    assert_adds_up(record)
    cases = ET.parse(workplace.folder / "their-own.xml").findall(".//testcase")  # noqa: S314 -- written a moment ago
    assert [(case.get("name"), case.find("failure") is not None) for case in cases] == [("API-001", True)]


def test_the_last_failed_are_run_again(workplace, run_pytest):
    file = with_a_key_twice(workplace)
    run_pytest(file, "--meshmark-only", CHEAP)
    assert verdicts(workplace.record())["API-002"] == "pass"
    workplace.write("twice.yaml", CONTRACT)
    done = run_pytest(file, "--meshmark-only", CHEAP, "--lf", "-v")
    done.assert_outcomes(passed=1, deselected=len(complete_catalogue().checks) - 1)
    unrun = {"not-run", "not-applicable"}
    assert {check for check, verdict in verdicts(workplace.record()).items() if verdict not in unrun} == {"API-001"}


@pytest.mark.parametrize("workers", [("-p", "xdist", "-n", "2"), ("--meshmark-workers", "2")], ids=["xdist", "own"])
def test_workers_share_the_checks_and_one_record_tells_of_all(workers, workplace, run_pytest):
    file = with_a_key_twice(workplace)
    alone = run_pytest(file, "--meshmark-only", CHEAP, "--meshmark-out", "alone")
    shared = run_pytest(file, "--meshmark-only", CHEAP, "--meshmark-out", "shared", *workers)
    one, two = workplace.record("alone"), workplace.record("shared")
    assert alone.ret == shared.ret == 1
    assert verdicts(one) == verdicts(two)
    assert Counter(verdicts(two).values())["pass"] == 3
    assert one["environment"] == two["environment"]
    assert_adds_up(two)
    assert sorted(path.name for path in (workplace.folder / "shared").iterdir()) == [
        "junit.xml",
        "record.json",
        "report.html",
    ]
    assert shared.stdout.str().count("= meshmark =") == 1


def test_workers_of_xdist_do_not_multiply_by_our_own(workplace, run_pytest):
    # Each of them would run all checks, and not those alone that it is sent.
    workplace.write("conftest.py", "from conformance.plugin import session\nsession.Workers = None\n")
    both = ("-p", "xdist", "-n", "2", "--meshmark-workers", "2")
    run_pytest(workplace.run_file(), "--meshmark-only", "ROUTE-001,API-001", *both)
    assert Counter(verdicts(workplace.record()).values())["pass"] == 2


@pytest.mark.parametrize("workers", [("-p", "xdist", "-n", "2"), ("--meshmark-workers", "2")], ids=["xdist", "own"])
def test_workers_that_cannot_start_their_mesh_say_why(workers, workplace, run_pytest):
    file = workplace.run_file(subject={"command": ["{python}", "-c", "raise SystemExit('not today')"]})
    done = run_pytest(file, "--meshmark-only", "API-001,ROUTE-001", *workers)
    assert done.ret == 4
    assert workplace.record()["trouble"].startswith("building block things exited with code 1 before it was ready")


def test_two_run_files_are_two_reports_and_the_worse_decides(workplace, run_pytest):
    good, bad = workplace.run_file("good"), with_a_key_twice(workplace, "bad")
    done = run_pytest(good, bad, "--meshmark-only", "API-001")
    assert done.ret == 1
    for name, verdict in (("good", "pass"), ("bad", "fail")):
        record = workplace.record(f"meshmark-report/{name}")
        assert record["subject"]["name"] == name
        assert verdicts(record)["API-001"] == verdict
        assert record["environment"]["runtime"] == "process"
        assert_adds_up(record)
    assert not (workplace.folder / "meshmark-report" / "record.json").exists()


def test_a_wrong_run_file_is_told_in_its_own_words(workplace, run_pytest):
    workplace.write("bad.meshmark.yaml", "subject: {}\n")
    done = run_pytest()
    assert done.ret == 2
    done.stdout.fnmatch_lines(["bad.meshmark.yaml:1:1: the key `subject.*` is missing", "  next: mend the run file*"])
    assert "Traceback" not in done.stdout.str()
    assert not (workplace.folder / "meshmark-report").exists()


def test_a_wrong_run_file_beside_a_good_one_is_still_a_mistake_of_the_user(workplace, run_pytest):
    workplace.write("bad.meshmark.yaml", "subject: {}\n")
    workplace.run_file()
    done = run_pytest("--meshmark-only", "API-001")
    assert done.ret == 2
    assert not workplace.record("meshmark-report")["interrupted"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--meshmark-only=NONE-001", "--only names checks that do not exist: NONE-001"),
        ("--meshmark-only=", "--only names no check"),
        ("--meshmark-format=docx", "--meshmark-format: no report format is called docx"),
        ("--meshmark-language=xx", "--meshmark-language: reports do not speak 'xx'"),
        ("--meshmark-workers=0", "--meshmark-workers: a run needs a mesh"),
        ("--meshmark-runtime=magic", "*--meshmark-runtime: invalid choice: 'magic'*"),
    ],
)
def test_an_option_that_cannot_be_is_refused(option, said, workplace, run_pytest):
    done = run_pytest(workplace.run_file(), option)
    assert done.ret in (2, pytest.ExitCode.USAGE_ERROR)
    pytest.LineMatcher([*done.outlines, *done.errlines]).fnmatch_lines([said + "*"])
    assert "Traceback" not in done.stdout.str()


def test_a_failing_test_beside_a_run_file_is_not_forgotten(workplace, run_pytest):
    workplace.write("test_own.py", "def test_own():\n    assert False\n")
    done = run_pytest(workplace.run_file(), "test_own.py", "--meshmark-only", "API-001")
    assert done.ret == 1
    assert workplace.record()["outcome"] == "incomplete"


def test_formats_and_seed_are_as_asked_for(workplace, run_pytest):
    run_pytest(
        workplace.run_file(seed=3),
        *("--meshmark-only", "API-001"),
        *("--meshmark-seed", "11"),
        *("--meshmark-out", "elsewhere"),
        *("--meshmark-format", "json"),
    )
    record = workplace.record("elsewhere")
    assert record["seed"] == 11
    assert results(record)["API-001"]["reproduce"].endswith("--seed 11")
    assert [path.name for path in (workplace.folder / "elsewhere").iterdir()] == ["record.json"]


def test_where_no_run_file_is_nothing_heavy_is_imported(workplace, run_pytest):
    workplace.write(
        "test_light.py",
        "import sys\n"
        "def test_light():\n"
        "    heavy = {'conformance.mesh', 'conformance.model', 'grpc', 'httpx', 'pydantic', 'yaml', 'cryptography'}\n"
        "    assert not heavy & sys.modules.keys()\n",
    )
    run_pytest("test_light.py").assert_outcomes(passed=1)
