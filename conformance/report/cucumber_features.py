"""The features and scenarios under which a record is shown to readers of Cucumber, and their Gherkin source.

Invariants: the source parses as Gherkin and gives the names, tags, steps and lines that stand beside it; no text from
outside begins a line of it, or ends a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from conformance.model.requirements import Area
from conformance.model.verdict import EvidenceKind, Verdict
from conformance.report.findings import NOT_JUDGED, RecordJson, applied_waivers, by_area
from conformance.report.text import one_line
from conformance.report.wording import AREA_TITLES

__all__ = ["GIVEN", "THEN", "Feature", "Scenario", "features_of"]

GIVEN, THEN = "Given", "Then"
LONGEST_NAME = 300
MOST_OPERATIONS = 500
"""Features of operations; each check stands under its area whether or not it names more."""
OPERATION = re.compile(r"[A-Z]{1,20} /.*", re.DOTALL)
IN_A_TAG = "/{}()[]-_.~:;,=+*!$&'?%"
"""What may stand in a tag as it is: no blank, which ends it, no `@`, which begins the next, and no `#`."""


@dataclass(frozen=True)
class Scenario:
    """One check, perhaps for one operation only."""

    name: str
    tags: tuple[str, ...]
    result: RecordJson

    @property
    def steps(self) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
        """Keyword, its kind and the text of both steps."""
        title = one_line(self.result["title"], LONGEST_NAME) or "(no title)"
        return (
            (GIVEN, "Context", "the honest case works and the check can judge"),
            (THEN, "Outcome", f"{self.result['check']} holds: {title}"),
        )

    @property
    def description(self) -> str:
        """Why there is no test case; empty if there is one."""
        if self.result["verdict"] not in NOT_JUDGED:
            return ""
        why = one_line(self.result["seen"] or self.result["reason"], LONGEST_NAME) or "no reason given"
        return f"    Verdict {self.result['verdict']}: {why}"

    @property
    def description_lines(self) -> int:
        """How many lines of the source it takes."""
        return 1 if self.description else 0


@dataclass(frozen=True)
class Feature:
    """A file of scenarios."""

    uri: str
    name: str
    tags: tuple[str, ...]
    scenarios: tuple[Scenario, ...]

    @property
    def line(self) -> int:
        """Where the keyword stands."""
        return 2 if self.tags else 1

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """Where each scenario's keyword stands: a blank line and a line of tags come before it."""
        found, line = [], self.line
        for scenario in self.scenarios:
            line += 3
            found.append(line)
            line += scenario.description_lines + len(scenario.steps)
        return tuple(found)

    @cached_property
    def source(self) -> str:
        """The feature as Gherkin."""
        lines = [" ".join(self.tags)] if self.tags else []
        lines.append(f"Feature: {self.name}")
        for scenario in self.scenarios:
            lines += ["", f"  {' '.join(scenario.tags)}", f"  Scenario: {scenario.name}"]
            lines += [scenario.description] if scenario.description else []
            lines += [f"    {keyword} {text}" for keyword, _, text in scenario.steps]
        return "\n".join(lines) + "\n"


def features_of(record: RecordJson) -> list[Feature]:
    """A feature for each area, in the catalogue's order, then one for each operation, sorted."""
    waived = applied_waivers(record)
    areas = [
        Feature(
            uri=f"features/{area}.feature",
            name=AREA_TITLES[Area(area)] if area in list(Area) else area,
            tags=(f"@area={area}",),
            scenarios=tuple(_scenario(result, waived) for result in results),
        )
        for area, results in by_area(record["results"]).items()
    ]
    return areas + _of_operations(record["results"], waived)


def _scenario(result: RecordJson, waived: Mapping[str, RecordJson], operation: str = "") -> Scenario:
    tags = [
        f"@{result['check']}",
        f"@level={result['level']}",
        f"@verdict={result['verdict']}",
        *(["@waived"] if result["check"] in waived else []),
        *(f"@requirement={each}" for each in result["proves"]),
    ]
    title = one_line(result["title"], LONGEST_NAME) or "(no title)"
    return Scenario(f"{result['check']} {title}" + (f" ({operation})" if operation else ""), tuple(tags), result)


def _of_operations(results: Sequence[RecordJson], waived: Mapping[str, RecordJson]) -> list[Feature]:
    scenarios: dict[str, list[Scenario]] = {}
    for result in results:
        for operation, at_fault in _operations(result["evidence"]).items():
            # A check fails as a whole; the record does not say that it passed for any operation.
            if result["verdict"] != Verdict.FAIL or at_fault:
                shown = one_line(operation, LONGEST_NAME)
                scenarios.setdefault(operation, []).append(_scenario(result, waived, shown))
    return [
        Feature(
            uri=f"features/operations/{number:03d}.feature",
            name=one_line(operation, LONGEST_NAME),
            tags=_endpoint_tags(operation),
            scenarios=tuple(scenarios[operation]),
        )
        for number, operation in enumerate(sorted(scenarios)[:MOST_OPERATIONS], start=1)
    ]


def _endpoint_tags(operation: str) -> tuple[str, str]:
    method, _, endpoint = operation.partition(" ")
    return f"@method={method}", f"@endpoint={quote(endpoint[:LONGEST_NAME], safe=IN_A_TAG, errors='replace')}"


def _operations(evidence: Sequence[RecordJson]) -> dict[str, bool]:
    """The operations that the evidence on contracts names, and whether it finds fault with each."""
    named: set[str] = set()
    at_fault: set[str] = set()
    for each in evidence:
        if each["kind"] != EvidenceKind.CONTRACT:
            continue
        observed = each.get("observed", {})
        for entry in [observed, *_mappings(observed.get("contracts"))]:
            exercised, failures = list(_mappings(entry.get("operations"))), list(_mappings(entry.get("failures")))
            named.update(_texts(entry.get("operations")), _names(exercised))
            at_fault.update(_names(failures), _names(one for one in exercised if one.get("breaches")))
    return {name: name in at_fault for name in named | at_fault if OPERATION.fullmatch(name)}


def _names(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return _texts([entry.get("operation") for entry in entries])


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 -- any JSON value
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- any JSON value
    return (each for each in value if isinstance(each, str)) if isinstance(value, list) else iter(())
