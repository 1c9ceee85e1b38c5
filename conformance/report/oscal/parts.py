"""What assessment plan and assessment results share: identifiers, text, properties, parties and the subject.

Invariants: both documents name the same thing by the same identifier, which follows from the record alone. Where OSCAL
takes text for Markdown, none of a record's text can become more than text: no markup, no link, no parameter.

The model: a requirement is a control, with one objective; a check is an activity, which tests objectives; the run is a
task. A result is an observation; what the observations say about an objective is a finding.
"""

from __future__ import annotations

import re
from typing import Any

from conformance.report.documents import LONGEST_PATH, filled, identifier, uri_path
from conformance.report.findings import RecordJson
from conformance.report.material import Material
from conformance.report.text import LONGEST_TEXT, cut, one_line, visible

__all__ = [
    "OSCAL_VERSION",
    "PLAN_FILE",
    "WAIVER_OWNER",
    "Names",
    "control_selection",
    "line",
    "metadata",
    "objective_of",
    "origin",
    "prop",
    "props",
    "prose",
    "proven_requirements",
    "resource",
    "subject_reference",
]

OSCAL_VERSION = "1.2.1"
PLAN_FILE = "oscal-assessment-plan.json"
NAMESPACE = "urn:meshmark:oscal"
"""Whose property names these are."""
WAIVER_OWNER = "waiver-owner"
VENDOR = "vendor"
MARKUP = re.compile(r"[\\`*_<>&\[\]{}~^|#]|^[ \t]*(?:[-+=]|\d+(?=[.)]))", re.MULTILINE)


class Names:
    """The identifiers of everything in both documents of one record."""

    def __init__(self, material: Material) -> None:
        self._digest = material.digest
        self.plan = self.of("plan")
        self.results = self.of("results")
        self.subject = self.of("subject")
        self.suite = self.of("suite")
        self.envoy = self.of("envoy")
        self.platform = self.of("platform")
        self.task = self.of("task")
        self.run_file = self.of("resource", "run file")
        self.vendor = self.of("party", VENDOR)

    def of(self, kind: str, *names: str) -> str:
        """The UUID of one thing of a kind."""
        return identifier(self._digest, kind, *names)


def prose(text: str) -> str:
    """Text where OSCAL expects Markdown of several lines."""
    return MARKUP.sub(_escaped, visible(cut(text)).strip()) or "-"


def line(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text where OSCAL expects Markdown of one line."""
    return MARKUP.sub(_escaped, one_line(text, longest)) or "-"


def _escaped(found: re.Match[str]) -> str:
    # CommonMark 0.31, section 2.4: a backslash makes punctuation literal; a number keeps its digits, its dot gets it.
    mark = found.group()
    return f"{mark}\\" if mark[-1].isdigit() else f"{mark[:-1]}\\{mark[-1]}"


def prop(name: str, value: str) -> dict[str, str]:
    """A property; OSCAL allows no empty ones."""
    return {"name": name, "ns": NAMESPACE, "value": one_line(value) or "-"}


def props(values: dict[str, Any]) -> list[dict[str, str]]:
    """Properties from names and values; what is empty or None is left out."""
    return [prop(name, str(value)) for name, value in filled(values).items() if one_line(str(value))]


def objective_of(requirement: str) -> str:
    """The id of a requirement's objective."""
    return f"{requirement}_obj"


def control_selection(requirements: list[str]) -> dict[str, Any]:
    """Requirements and their objectives as what is reviewed."""
    if not requirements:
        return {"control-selections": [{"description": "Nothing is reviewed.", "include-all": {}}]}
    return {
        "control-selections": [{"include-controls": [{"control-id": each} for each in requirements]}],
        "control-objective-selections": [
            {"include-objectives": [{"objective-id": objective_of(each)} for each in requirements]}
        ],
    }


def origin(names: Names) -> dict[str, Any]:
    """Who says so: the suite, in the run."""
    return {
        "actors": [{"type": "tool", "actor-uuid": names.suite}],
        "related-tasks": [{"task-uuid": names.task}],
    }


def subject_reference(names: Names) -> dict[str, str]:
    """The subject, by its identifier."""
    return {"subject-uuid": names.subject, "type": "component"}


def resource(uuid: str, title: str, path: str, sha256: str | None = None, media_type: str = "") -> dict[str, Any]:
    """A file of the bundle, as seen from its folder `reports/`."""
    hashes = [{"algorithm": "SHA-256", "value": sha256}] if sha256 else []
    link = filled({"href": uri_path(f"../{path}"), "media-type": media_type, "hashes": hashes})
    return filled({"uuid": uuid, "title": line(title), "rlinks": [link] if len(path) <= LONGEST_PATH else []})


def metadata(material: Material, names: Names, title: str) -> dict[str, Any]:
    """Who and when. The version of the document is the name of its record."""
    record = material.record
    vendor = one_line(record["subject"]["vendor"])
    parties = [{"uuid": names.vendor, "type": "organization", "name": vendor}] if vendor else []
    owners = sorted({one_line(waiver["owner"]) for waiver in record["waivers"]} - {""})
    parties += [{"uuid": names.of("party", owner), "type": "person", "name": owner} for owner in owners]
    roles = {
        VENDOR: ("Vendor", "Answers for the subject.") if vendor else None,
        WAIVER_OWNER: ("Owner of a waiver", "Answers for a known fail until a day.") if owners else None,
    }
    responsible = {VENDOR: [names.vendor] if vendor else [], WAIVER_OWNER: [names.of("party", each) for each in owners]}
    return filled(
        {
            "title": line(title),
            "last-modified": record["finished"],
            "version": material.digest,
            "oscal-version": OSCAL_VERSION,
            "props": props(
                {
                    "record-sha256": material.digest,
                    "profile": record["profile"],
                    "topology": record["topology"],
                    "suite-version": record["suite"]["version"],
                    "catalogue-digest": record["suite"]["catalogue_digest"],
                }
            ),
            "roles": [
                {"id": role, "title": words[0], "description": words[1]} for role, words in roles.items() if words
            ],
            "parties": parties,
            "responsible-parties": [
                {"role-id": role, "party-uuids": uuids} for role, uuids in responsible.items() if uuids
            ],
            "remarks": "Links to files lead to those of the run's bundle, as seen from its folder reports.",
        }
    )


def proven_requirements(record: RecordJson) -> list[str]:
    """The requirements that a check of the plan proves."""
    return sorted({requirement for result in record["results"] for requirement in result["proves"]})
