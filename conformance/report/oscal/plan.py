"""`oscal-assessment-plan.json`: what was to be assessed, how, and what was left out with the reason.

Invariants: every check of the plan is an activity, and exactly those that were to be run belong to the task; every
requirement of the record has an objective, also one that no check proves, which says why.
"""

from __future__ import annotations

from typing import Any

from conformance.report.bundle import inside
from conformance.report.documents import filled, json_document
from conformance.report.findings import RecordJson
from conformance.report.material import Material
from conformance.report.oscal.parts import (
    Names,
    control_selection,
    line,
    metadata,
    objective_of,
    prop,
    props,
    prose,
    proven_requirements,
    resource,
    subject_reference,
)
from conformance.report.wording import coverage_sentence, subject_name

__all__ = ["render"]

WHAT_THE_RUN_FILE_IS = (
    "There is no system security plan: the run file and the contracts that it names describe the subject."
)


def render(material: Material) -> bytes:
    """The plan of the record as an OSCAL assessment plan."""
    record, names = material.record, Names(material)
    subjects = [{"type": "component", "include-subjects": [subject_reference(names)]}]
    plan = {
        "uuid": names.plan,
        "metadata": metadata(material, names, f"Assessment plan for {subject_name(record)}"),
        "import-ssp": {"href": f"#{names.run_file}", "remarks": WHAT_THE_RUN_FILE_IS},
        "local-definitions": filled(
            {
                "components": [_subject(record, names)],
                "objectives-and-methods": [_objective(record, names, each) for each in sorted(record["requirements"])],
                "activities": _activities(record, names),
                "remarks": prose(coverage_sentence(record)),
            }
        ),
        "reviewed-controls": control_selection(proven_requirements(record)),
        "assessment-subjects": subjects,
        "assessment-assets": _assets(record, names),
        "tasks": [_task(record, names, subjects)],
        "back-matter": {"resources": _resources(record, names)},
    }
    return json_document({"assessment-plan": plan})


def _subject(record: RecordJson, names: Names) -> dict[str, Any]:
    subject = record["subject"]
    return {
        "uuid": names.subject,
        "type": "service",
        "title": line(subject["name"]),
        "description": prose(f"The subject: {subject_name(record)}."),
        "props": props({"role": subject["role"], "version": subject["version"], "vendor": subject["vendor"]}),
        "status": {"state": "operational"},
    }


def _objective(record: RecordJson, names: Names, requirement: str) -> dict[str, Any]:
    facts = record["requirements"][requirement]
    checks = [result["check"] for result in record["results"] if requirement in result["proves"]]
    objective = {
        "id": objective_of(requirement),
        "name": "assessment-objective",
        "prose": prose(facts["text"]),
        "links": [{"href": f"#{names.of('activity', check)}", "rel": "tested-by", "text": check} for check in checks],
    }
    return filled(
        {
            "control-id": requirement,
            "description": prose(facts["text"]),
            "props": [
                *props({"level": facts["level"]}),
                *(prop("source", source) for source in facts["sources"]),
            ],
            "parts": [filled(objective)],
            "remarks": prose(f"No check proves it: {facts['unchecked']}") if facts["unchecked"] else "",
        }
    )


def _activities(record: RecordJson, names: Names) -> list[dict[str, Any]]:
    proves = {result["check"]: result["proves"] for result in record["results"]}
    return [
        filled(
            {
                "uuid": names.of("activity", entry["check"]),
                "title": line(f"{entry['check']} {entry['title']}"),
                "description": prose(entry["description"]),
                "props": props(
                    {
                        "check": entry["check"],
                        "level": entry["level"],
                        "planned": "to run" if entry["run"] else "excluded",
                        "reason": entry["reason"],
                        "method": "TEST",
                    }
                ),
                "related-controls": control_selection(proves[entry["check"]]),
                "remarks": "" if entry["run"] else prose(f"Excluded: {entry['reason']}"),
            }
        )
        for entry in record["plan"]
    ]


def _assets(record: RecordJson, names: Names) -> dict[str, Any]:
    suite, environment = record["suite"], record["environment"]
    return {
        "components": [
            {
                "uuid": names.suite,
                "type": "software",
                "title": line(suite["name"]),
                "description": "The suite that judges.",
                "props": props({"version": suite["version"], "catalogue-digest": suite["catalogue_digest"]}),
                "status": {"state": "operational"},
            },
            filled(
                {
                    "uuid": names.envoy,
                    "type": "software",
                    "title": "Envoy",
                    "description": "The security servers through which the subject is observed.",
                    "props": props(
                        {
                            "version": environment["envoy_version"],
                            "digest": environment["envoy_digest"],
                            "runtime": environment["runtime"],
                            "hosts": environment["hosts"],
                        }
                    ),
                    "status": {"state": "operational"},
                }
            ),
        ],
        "assessment-platforms": [
            filled(
                {
                    "uuid": names.platform,
                    "title": "The machine of the run",
                    "props": props({"python": environment["python"], "os": environment["os"]}),
                    "uses-components": [{"component-uuid": names.suite}, {"component-uuid": names.envoy}],
                }
            )
        ],
    }


def _task(record: RecordJson, names: Names, subjects: list[dict[str, Any]]) -> dict[str, Any]:
    return filled(
        {
            "uuid": names.task,
            "type": "action",
            "title": "Run the checks of the plan",
            "props": props({"seed": record["seed"], "topology": record["topology"]}),
            "timing": {"within-date-range": {"start": record["started"], "end": record["finished"]}},
            "associated-activities": [
                {"activity-uuid": names.of("activity", entry["check"]), "subjects": subjects}
                for entry in record["plan"]
                if entry["run"]
            ],
            "subjects": subjects,
        }
    )


def _resources(record: RecordJson, names: Names) -> list[dict[str, Any]]:
    run_file = resource(
        names.run_file, "Run file", f"inputs/{inside(record['run_file'])}", media_type="application/yaml"
    )
    contracts = [
        resource(
            names.of("resource", "contract", each["path"]),
            f"Contract {each['path']}",
            f"inputs/{inside(each['path'])}",
            each["sha256"],
        )
        for each in record["subject"]["contracts"]
    ]
    return [run_file, *contracts]
