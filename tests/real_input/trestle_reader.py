"""Reads plans and results with compliance-trestle, and compares what it understood with the documents and their record.

`python trestle_reader.py DIR`: every folder in DIR holds a plan, results and their record. Exit code 1 if anything was
refused, lost or changed. Runs in trestle's own environment, so nothing of meshmark is imported.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

PLAN, RESULTS, RECORD = "oscal-assessment-plan.json", "oscal-assessment-results.json", "record.json"


def main(folder: Path) -> int:
    """Read all; print one line for each folder and one for each loss."""
    # The project's own environment has no trestle, and tests the comparison.
    from trestle.oscal.assessment_plan import AssessmentPlan  # noqa: PLC0415
    from trestle.oscal.assessment_results import AssessmentResults  # noqa: PLC0415

    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    losses = 0 if folders else 1
    for each in folders:
        read = {}
        found = []
        for name, model in ((PLAN, AssessmentPlan), (RESULTS, AssessmentResults)):
            written = json.loads((each / name).read_bytes())
            read[name] = json.loads(model.oscal_read(each / name).oscal_serialize_json())
            found += [f"{name}: {line}" for line in differences(written, read[name])]
        record = json.loads((each / RECORD).read_bytes())
        found += lost(record, read[PLAN]["assessment-plan"], read[RESULTS]["assessment-results"])
        print(f"{each.name}: {len(record['plan'])} checks, {len(found)} losses")
        for line in found[:20]:
            print(f"  {line}")
        losses += len(found)
    print(f"{len(folders)} plans and results, {losses} losses")
    return 1 if losses else 0


def differences(written: Any, read: Any, place: str = "") -> Iterator[str]:
    """Where two documents say different things; a moment may be spelled in another way."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key in sorted(written.keys() | read.keys()):
            yield from differences(written.get(key), read.get(key), f"{place}/{key}")
    elif isinstance(written, list) and isinstance(read, list):
        if len(written) != len(read):
            yield f"{place}: {len(written)} written, {len(read)} read"
        for number, pair in enumerate(zip(written, read, strict=False)):
            yield from differences(*pair, f"{place}/{number}")
    elif written != read and (moment(written) is None or moment(written) != moment(read)):
        yield f"{place}: written {str(written)[:80]!r}, read {str(read)[:80]!r}"


def moment(text: Any) -> datetime | None:
    """A moment in time, if the text is one."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def lost(record: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]) -> list[str]:
    """What the record says and plan and results do not, as far as it has an id or can be counted."""
    (result,) = results["results"]
    activities = plan["local-definitions"].get("activities", [])
    (task,) = plan["tasks"]
    to_run = {each["activity-uuid"] for each in task.get("associated-activities", [])}
    observations, risks = result.get("observations", []), result.get("risks", [])
    evidence = [each for every in record["results"] for each in every["evidence"]]
    resources = {each["uuid"]: each for each in results["back-matter"]["resources"]}
    kept = [
        resources.get(each["href"].removeprefix("#"))
        for every in observations
        for each in every.get("relevant-evidence", [])
    ]
    pairs = {
        "checks of the plan": (
            [(entry["check"], entry["run"]) for entry in record["plan"]],
            [(_property(each, "check"), each["uuid"] in to_run) for each in activities],
        ),
        "verdicts": (
            [(each["check"], each["verdict"]) for each in record["results"]],
            [(_property(each, "check"), _property(each, "verdict")) for each in observations],
        ),
        "fails": (
            [each["check"] for each in record["results"] if each["verdict"] == "fail"],
            [_property(each, "check") for each in risks],
        ),
        "waivers in force": (
            [each["check"] for each in record["waivers"] if each["state"] == "applied"],
            [_property(each, "check") for each in risks if each["status"] == "deviation-approved"],
        ),
        "requirements": (
            list(record["requirements"]),
            [each["control-id"] for each in plan["local-definitions"].get("objectives-and-methods", [])],
        ),
        "digests of evidence": (
            [each["sha256"] for each in evidence],
            [each["rlinks"][0]["hashes"][0]["value"] for each in kept if each],
        ),
        "outcome": ([record["outcome"]], [_property(result, "outcome")]),
        "the plan's UUID": ([plan["uuid"]], [results["import-ap"]["remarks"].split()[-1].rstrip(".")]),
    }
    return [
        f"{name}: {_counted(said, found)}" for name, (said, found) in pairs.items() if Counter(said) != Counter(found)
    ]


def _counted(said: list[Any], found: list[Any]) -> str:
    missing, added = Counter(said) - Counter(found), Counter(found) - Counter(said)
    return f"{len(said)} in the record, {len(found)} read; missing {list(missing)[:3]}, added {list(added)[:3]}"


def _property(node: dict[str, Any], name: str) -> str | None:
    return next((each["value"] for each in node["props"] if each["name"] == name), None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
