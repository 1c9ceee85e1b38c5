"""Where checks and requirements stand in a record: what comparisons and registries are made of.

Invariants: a requirement passes only when at least one of its checks passed and none of them failed, broke, stayed
inconclusive or was not run; a requirement that no check proves is `unchecked`, and never passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.model.requirements import Area
from conformance.model.verdict import Verdict
from conformance.report.findings import RecordJson, applied_waivers, area_of

__all__ = ["UNCHECKED", "Standing", "catalogue_order", "check_standings", "requirement_standings"]

UNCHECKED = "unchecked"
"""The state of a requirement that no check of the plan proves."""

DECISIVE = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.PASS, Verdict.NOT_APPLICABLE)
"""The first of these that one of its checks has is what a requirement stands at."""


@dataclass(frozen=True)
class Standing:
    """Where one check or requirement stands.

    Attributes:
        state: a verdict, or `UNCHECKED`.
        level: MUST, SHOULD or MAY; of a requirement that is no part of the profile, nothing.
        waived: it fails, and waivers cover every fail of it.
        reason: the code of what was not met, or why there was nothing to judge. Requirements have none.

    """

    state: str
    level: str | None
    waived: bool = False
    reason: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Standing:
        """The inverse of `to_json`."""
        return cls(values["state"], values["level"], values["waived"], values["reason"])

    def to_json(self) -> dict[str, Any]:
        """As it stands in a comparison and in a registry."""
        return {"state": self.state, "level": self.level, "waived": self.waived, "reason": self.reason}


def check_standings(record: RecordJson) -> dict[str, Standing]:
    """Every check of the plan, in the record's order."""
    waived = applied_waivers(record)
    return {
        result["check"]: Standing(result["verdict"], result["level"], result["check"] in waived, result["reason"])
        for result in record["results"]
    }


def requirement_standings(record: RecordJson) -> dict[str, Standing]:
    """Every requirement that the record names, in the catalogue's order."""
    proofs: dict[str, list[Standing]] = {}
    checks = check_standings(record)
    for result in record["results"]:
        for requirement in result["proves"]:
            proofs.setdefault(requirement, []).append(checks[result["check"]])
    known = record["requirements"]
    return {each: _together(proofs.get(each, ()), known[each]["level"]) for each in sorted(known, key=catalogue_order)}


def _together(proofs: Sequence[Standing], level: str | None) -> Standing:
    states = {each.state for each in proofs}
    state = next((verdict.value for verdict in DECISIVE if verdict in states), UNCHECKED)
    fails = [each for each in proofs if each.state == Verdict.FAIL]
    return Standing(state, level, waived=bool(fails) and all(each.waived for each in fails))


def catalogue_order(identifier: str) -> tuple[int, str, int, str]:
    """Sorts ids of checks or requirements: areas in reading order, then those that others added; then by number."""
    areas, area = [each.value for each in Area], area_of(identifier)
    number = re.sub("[^0-9]", "", identifier.partition("-")[2])[:12]
    return (areas.index(area) if area in areas else len(areas), area, int(number or 0), identifier)
