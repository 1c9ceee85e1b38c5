"""For each format a small reader that gives back what the format shows: which checks, requirements and runs pass.

They read as other people's tools do, the careless ones too: what such a tool would take for a pass is a pass here.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from conformance.report.bundle import REPORTS, parse_bundle
from conformance.report.formats import FORMATS

from .pages import Page

CHECK = re.compile(r"\b[A-Z][A-Z0-9]+-[0-9]{3}\b")
REQUIREMENT = re.compile(r"[A-Z][A-Z0-9]+-R[0-9]+")
# The order of Cucumber's own `getWorstTestStepResult`: an unknown step is better than one that passed.
WORST_LAST = ("UNKNOWN", "PASSED", "SKIPPED", "PENDING", "UNDEFINED", "AMBIGUOUS", "FAILED")


@dataclass
class Shown:
    """What a report shows.

    Attributes:
        passed: checks that it shows as passed.
        words: the format's own word for each check that it names.
        requirements: requirements that it shows as met.
        conformant: whether it shows the whole run as good; None if it does not say.

    """

    passed: set[str] = field(default_factory=set)
    words: dict[str, str] = field(default_factory=dict)
    requirements: set[str] = field(default_factory=set)
    conformant: bool | None = None


def read_json(content: bytes) -> Shown:
    record = json.loads(content)
    words = {result["check"]: result["verdict"] for result in record["results"]}
    passed = {check for check, word in words.items() if word == "pass"}
    return Shown(passed, words, conformant=record["outcome"].startswith("conformant"))


def read_html(content: bytes) -> Shown:
    """A check is what the first verdict after its anchor says; those that were not judged have none in their table."""
    shown, check = Shown(), ""
    for element in Page.of(content).elements:
        anchor, classes = str(element.attributes.get("id")), str(element.attributes.get("class")).split()
        if CHECK.fullmatch(anchor):
            check = anchor if element.tag == "article" else ""
            if "is-pass" in classes:
                shown.passed.add(anchor)
        elif check and "verdict" in classes:
            shown.words[check] = element.text
            if element.text.startswith("Pass"):
                shown.passed.add(check)
            check = ""
    return shown


def read_markdown(content: bytes) -> Shown:
    text = content.decode()
    found = re.findall(r"^(?:- |#### )([A-Z][a-z ]+(?:, waived)?): ([A-Z][A-Z0-9]+-\d{3}) \(", text, re.MULTILINE)
    words = {check: word for word, check in found}
    passed = {check for word, check in found if word.startswith("Pass")}
    return Shown(passed, words, conformant=text.startswith("**Conformant"))


def read_junit(content: bytes) -> Shown:
    top = ET.fromstring(content)  # noqa: S314 -- our own output
    words, bad = {}, False
    for case in top.iter("testcase"):
        marks = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        bad = bad or bool({"failure", "error"}.intersection(marks))
        if case.get("classname") != "run":
            words[str(case.get("name")).split(" ")[0]] = marks[0] if marks else "no child element"
    passed = {check for check, word in words.items() if word == "no child element"}
    return Shown(passed, words, conformant=not bad)


def read_cucumber(content: bytes) -> Shown:
    """A case passes if its worst step passed, or, as GovStack's web application has it, if no step failed."""
    messages: dict[str, list[dict[str, Any]]] = {}
    for line in content.decode().splitlines():
        ((kind, message),) = json.loads(line).items()
        messages.setdefault(kind, []).append(message)
    check_of = {
        each["id"]: next(filter(CHECK.match, (tag["name"][1:] for tag in each["tags"])))
        for each in messages.get("pickle", [])
    }
    steps = {each["testStepId"]: each["testStepResult"]["status"] for each in messages.get("testStepFinished", [])}
    outcomes: dict[str, list[str]] = {}
    for case in messages.get("testCase", []):
        statuses = [steps[step["id"]] for step in case["testSteps"]]
        worst = max(statuses, key=WORST_LAST.index, default="UNKNOWN")
        outcomes.setdefault(check_of[case["pickleId"]], []).append("PASSED" if "FAILED" not in statuses else worst)
    passed = {check for check, each in outcomes.items() if "PASSED" in each}
    words = dict.fromkeys(check_of.values(), "a pickle without a test case")
    words |= {check: each[0] for check, each in outcomes.items()}
    return Shown(passed, words, conformant=messages["testRunFinished"][0]["success"])


def read_govstack_form(content: bytes) -> Shown:
    form = json.loads(content)
    apis, requirements = form["interfaceCompliance"], form["requirementSpecificationCompliance"]
    sections = [
        apis["requirements"],
        requirements["crossCuttingRequirements"],
        requirements["functionalRequirements"],
        requirements["keyDigitalFunctionalitiesRequirements"],
    ]
    met = {
        requirement["requirement"].partition(":")[0]
        for section in sections
        for requirement in section
        if requirement["fulfillment"] not in (0, -1)
    }
    passed = {check for check, verdict in form["meshmark"]["checks"].items() if verdict == "pass"}
    return Shown(passed, requirements=met)


def read_gateway_report(content: bytes) -> Shown:
    report = yaml.safe_load(content)
    (profile,) = report["profiles"]
    checks = report["meshmark"]["checks"]
    words = {check: "not counted, but named" for each in checks.values() for check in each}
    words |= dict.fromkeys(checks["pass"], "Passed")
    for level in filter(None, (profile["core"], profile.get("extended"))):
        words |= dict.fromkeys(level.get("failedTests", ()), "Failed")
        words |= dict.fromkeys(level.get("skippedTests", ()), "Skipped")
    counted = sum(profile[level]["statistics"]["Passed"] for level in ("core", "extended") if level in profile)
    assert counted == len(checks["pass"])
    passed = {check for check, word in words.items() if word == "Passed"}
    return Shown(passed, words, conformant=profile["core"]["result"] == "success")


def read_bundle(content: bytes) -> Shown:
    """What any of the reports in it shows."""
    bundle = parse_bundle(content, "a bundle")
    by_file = {form.file_name: name for name, form in FORMATS.items()}
    shown = read_json(bundle.content["record.json"])
    for path, report in bundle.content.items():
        if path.startswith(REPORTS):
            one = READERS[by_file[path.removeprefix(REPORTS)]](report)
            shown.passed |= one.passed
            shown.requirements |= one.requirements
            shown.conformant = shown.conformant or bool(one.conformant)
    return shown


def read_oscal_results(content: bytes) -> Shown:
    """A finding says of a requirement whether it is satisfied."""
    met = set()
    for result in json.loads(content)["assessment-results"]["results"]:
        for finding in result.get("findings", ()):
            if finding["target"]["status"]["state"] == "satisfied":
                met |= set(REQUIREMENT.findall(finding["target"]["target-id"].upper()))
    return Shown(requirements=met)


def read_sarif(content: bytes) -> Shown:
    """Silence is consent: a rule that is enabled passes if no result and no notification is about it."""
    shown = Shown(conformant=True)
    for run in json.loads(content)["runs"]:
        words = {}
        for invocation in run["invocations"]:
            for override in invocation.get("ruleConfigurationOverrides", ()):
                if not override["configuration"].get("enabled", True):
                    words[override["descriptor"]["id"]] = "enabled: false"
            for notification in invocation.get("toolExecutionNotifications", ()):
                if "associatedRule" in notification:
                    words[notification["associatedRule"]["id"]] = "notification"
            good = invocation["executionSuccessful"] and not invocation.get("exitCode", 0)
            shown.conformant = shown.conformant and good
        for result in run.get("results", ()):
            kind = result.get("kind", "fail")
            words[result["ruleId"]] = "no result" if kind == "pass" else kind
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"] if CHECK.fullmatch(rule["id"])]
        shown.words |= {rule: words.get(rule, "no result") for rule in rules}
    shown.passed = {check for check, word in shown.words.items() if word == "no result"}
    return shown


def read_ctrf(content: bytes) -> Shown:
    results = json.loads(content)["results"]
    words = {test["name"].partition(" ")[0]: test["status"] for test in results["tests"] if CHECK.match(test["name"])}
    passed = {check for check, word in words.items() if word == "passed"}
    assert results["summary"]["passed"] == len(passed)
    return Shown(passed, words, conformant=results["summary"]["failed"] == 0)


def read_test_result(content: bytes) -> Shown:
    predicate = json.loads(content)["predicate"]
    words = {check: kind for kind in ("passedTests", "warnedTests", "failedTests") for check in predicate.get(kind, ())}
    return Shown(set(predicate.get("passedTests", ())), words, conformant=predicate["result"] == "PASSED")


def read_svr(content: bytes) -> Shown:
    """A property that is named holds."""
    properties = json.loads(content)["predicate"]["properties"]
    met = {requirement for each in properties for requirement in REQUIREMENT.findall(each)}
    return Shown(requirements=met, conformant=any("CONFORMANT" in each for each in properties))


READERS: dict[str, Callable[[bytes], Shown]] = {
    "json": read_json,
    "html": read_html,
    "markdown": read_markdown,
    "junit": read_junit,
    "cucumber": read_cucumber,
    "govstack-form": read_govstack_form,
    "govstack-form-levels": read_govstack_form,
    "gateway-api": read_gateway_report,
    "bundle": read_bundle,
    "oscal-results": read_oscal_results,
    "sarif": read_sarif,
    "ctrf": read_ctrf,
    "test-result": read_test_result,
    "svr": read_svr,
}
"""By the name of the format."""

EXCUSED = {
    "pdf": "it is the HTML page, printed",
    "oscal-plan": "it says what is to be assessed, before any verdict",
}
"""Formats that need no reader, and why."""


def without_reader(names: Iterable[str]) -> list[str]:
    return sorted(set(names) - READERS.keys() - EXCUSED.keys())
