"""The catalogue that judged a record, as `meshmark catalogue --format json` prints it.

Invariant: a catalogue is taken under the digest of what it says, never under the one that it names itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.model.catalogue_facts import digest_of_facts
from conformance.model.errors import SuiteFault, UsageError
from conformance.model.requirements import Level

__all__ = ["KnownCatalogue", "read_catalogue"]

LARGEST_CATALOGUE = 16 * 1024 * 1024
RENEW = "write it anew: meshmark catalogue --format json, with the version of meshmark that made the record"


@dataclass(frozen=True)
class KnownCatalogue:
    """A catalogue as data, each kind of entry by its id (`catalogue_facts` says what stands in them)."""

    version: str
    digest: str
    requirements: Mapping[str, Mapping[str, Any]]
    profiles: Mapping[str, Mapping[str, Any]]
    checks: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, facts: Mapping[str, Any], version: str) -> KnownCatalogue:
        """From facts.

        Raises:
            KeyError, TypeError, AttributeError, SuiteFault: these are no facts of a catalogue.

        """
        by_id = {kind: {each["id"]: each for each in facts[kind]} for kind in ("requirements", "profiles", "checks")}
        return cls(version, digest_of_facts(facts), **by_id)

    def level_of(self, check: str, profile: str) -> Level | None:
        """The strictest level among the requirements that a check proves; None: the profile does not ask for them."""
        weights = [self.requirements[each]["profiles"].get(profile) for each in self.checks[check]["proves"]]
        levels = [Level(weight) for weight in weights if weight is not None]
        return min(levels, key=list(Level).index) if levels else None


def read_catalogue(path: Path) -> KnownCatalogue:
    """Read a file that `meshmark catalogue --format json` wrote.

    Raises:
        UsageError: it cannot be read, is no catalogue, or is not the one that it says it is.

    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_CATALOGUE + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path), next_step=RENEW) from error
    try:
        facts = json.loads(content[:LARGEST_CATALOGUE])
        found, named = KnownCatalogue.of(facts, str(facts["suite"]["version"])), facts["suite"]["catalogue_digest"]
        for check in found.checks:
            for profile in found.profiles:
                found.level_of(check, profile)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SuiteFault) as error:
        raise UsageError("is no catalogue", where=str(path), next_step=RENEW) from error
    if found.digest != named:
        raise UsageError("was changed: its digest is not the one that it names", where=str(path), next_step=RENEW)
    return found
