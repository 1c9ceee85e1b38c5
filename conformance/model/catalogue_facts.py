"""The catalogue as plain data: what has to be known of it to judge a record years later, and its name.

Invariant: the digest covers all that decides which checks apply, how strongly they bind, what they may judge by and who
may waive them; so a record names its judge exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.model.canonical import digest
from conformance.model.check import Catalogue

__all__ = ["catalogue_digest", "catalogue_facts", "digest_of_facts"]

KEPT = {
    "requirements": ("id", "text", "profiles"),
    "profiles": ("id", "mandatory", "optional", "waivers_signed_by"),
    "checks": (
        "id", "title", "proves", "needs", "topologies", "separate_hosts", "evidence", "fails", "inconclusive",
    ),
}  # fmt: skip
"""What the digest is over."""


def catalogue_facts(catalogue: Catalogue) -> dict[str, Any]:
    """The catalogue as JSON."""
    return {
        "requirements": [
            {
                "id": each.id,
                "text": each.text,
                "profiles": {profile: level.value for profile, level in each.profiles.items()},
            }
            for each in catalogue.requirements.values()
        ],
        "profiles": [
            {
                "id": each.id,
                "mandatory": [feature.value for feature in each.mandatory],
                "optional": [feature.value for feature in each.optional],
                "waivers_signed_by": each.waivers_signed_by,
            }
            for each in catalogue.profiles.values()
        ],
        "checks": [
            {
                "id": each.id,
                "title": each.title,
                "proves": list(each.proves),
                "needs": sorted(feature.value for feature in each.needs),
                "topologies": [topology.value for topology in each.topologies],
                "separate_hosts": each.separate_hosts,
                "evidence": list(each.evidence),
                "fails": dict(each.fails),
                "inconclusive": dict(each.inconclusive),
            }
            for each in catalogue.checks
        ],
    }


def digest_of_facts(facts: Mapping[str, Any]) -> str:
    """The name of a catalogue, `sha256:...`, from its facts; further keys beside them do not count.

    Raises:
        KeyError, TypeError, AttributeError: these are no facts of a catalogue.

    """
    described = {kind: [{name: entry[name] for name in kept} for entry in facts[kind]] for kind, kept in KEPT.items()}
    return f"sha256:{digest(described)}"


def catalogue_digest(catalogue: Catalogue) -> str:
    """Names the exact set of requirements, profiles and checks that judged."""
    return digest_of_facts(catalogue_facts(catalogue))
