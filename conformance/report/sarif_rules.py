"""Checks as rules, and requirements as the taxonomy that these belong to (SARIF 2.1.0, sections 3.19 and 3.49)."""

from __future__ import annotations

import re
from typing import Any

from conformance.model.requirements import Level
from conformance.report.documents import filled, several_lines
from conformance.report.findings import UNPROVEN, RecordJson, area_of
from conformance.report.text import one_line, paragraphs
from conformance.report.wording import VERDICT_MEANINGS

__all__ = ["LEVELS", "RUN_TROUBLE", "WAIVER_TROUBLE", "driver", "message", "taxonomy"]

LEVELS = {Level.MUST: "error", Level.SHOULD: "warning", Level.MAY: "note"}
"""How bad a fail is."""
RUN_TROUBLE, WAIVER_TROUBLE = "run", "waiver"
"""Notifications that are not about one check; the others are called like the verdict."""
REQUIREMENTS = "requirements"
# Sections 3.11.5 and 3.11.6: how a message refers to one of its arguments, and how it holds a link.
PLACEHOLDER = re.compile(r"\{\d+\}")
LINK = re.compile(r"\]\(")


def message(text: str) -> dict[str, str]:
    """A message of plain text, in which nothing is taken for a placeholder or a link."""
    text = several_lines(text) or "-"
    if LINK.search(text):
        text = re.sub(r"[\\\[\]]", r"\\\g<0>", text)
    if PLACEHOLDER.search(text):
        text = text.replace("{", "{{").replace("}", "}}")
    return {"text": text}


def driver(record: RecordJson) -> dict[str, Any]:
    """The suite, with a rule for each check of the plan."""
    proves = {result["check"]: result["proves"] for result in record["results"]}
    numbers = {requirement: number for number, requirement in enumerate(sorted(record["requirements"]))}
    troubles = {
        **{verdict.value: VERDICT_MEANINGS[verdict] for verdict in UNPROVEN},
        RUN_TROUBLE: "Something is wrong with the run as a whole.",
        WAIVER_TROUBLE: "A waiver in the run file does not hold, which fails the run.",
    }
    return {
        "name": one_line(record["suite"]["name"]),
        "version": one_line(record["suite"]["version"]),
        "rules": [_rule(entry, proves[entry["check"]], numbers) for entry in record["plan"]],
        "notifications": [{"id": name, "shortDescription": message(text)} for name, text in troubles.items()],
        "supportedTaxonomies": [{"name": REQUIREMENTS, "index": 0}],
    }


def _rule(entry: RecordJson, proves: list[str], numbers: dict[str, int]) -> dict[str, Any]:
    component = {"name": REQUIREMENTS, "index": 0}
    return {
        "id": entry["check"],
        "shortDescription": message(one_line(entry["title"])),
        "fullDescription": message(one_line(paragraphs(entry["description"])[0])),
        "help": message(f"{entry['description']}\n\nWhat to do when it fails: {entry['remedy']}"),
        "defaultConfiguration": {"level": LEVELS[Level(entry["level"])]},
        "relationships": [
            {"target": {"id": each, "index": numbers[each], "toolComponent": component}, "kinds": ["relevant"]}
            for each in proves
        ],
        "properties": {"tags": list(dict.fromkeys([area_of(entry["check"]), entry["level"], *proves]))},
    }


def taxonomy(record: RecordJson) -> dict[str, Any]:
    """The requirements of the profile, those without a check included."""
    return {
        "name": REQUIREMENTS,
        "shortDescription": message(f"The requirements of profile {record['profile']}."),
        "taxa": [
            {
                "id": name,
                "shortDescription": message(requirement["text"]),
                "properties": filled(
                    {
                        "level": requirement["level"],
                        "sources": [one_line(source) for source in requirement["sources"]],
                        "unchecked": one_line(requirement["unchecked"] or ""),
                    }
                ),
            }
            for name, requirement in sorted(record["requirements"].items())
        ],
    }
