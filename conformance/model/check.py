"""What a check is, and the catalogue that refuses malformed ones when they are declared, not when they run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.model.errors import SuiteFault
from conformance.model.policies import Topology
from conformance.model.requirements import Area, Feature, Level, Profile, Requirement

__all__ = ["Catalogue", "Check", "CheckBody", "Topology"]

CheckBody = Callable[[Any], Awaitable[None]]

CHECK_ID = re.compile(r"(?P<area>[A-Z][A-Z0-9]+)-\d{3}")
REASON_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Check:
    """An executable test that proves one or more requirements.

    Attributes:
        id: permanent, `AREA-nnn`.
        title: what holds when it passes, in one sentence.
        proves: ids of requirements.
        needs: features that the subject must declare or the profile mandates; else the check is not applicable.
        evidence: names of the observations that it promises; a pass without one of them becomes an error.
        fails: for each reason code that can turn it red, the sentence that was expected to be true.
        remedy: where the vendor or operator looks first when it fails, in one or two sentences.
        inconclusive: for each reason code of a positive control, the sentence that must be true before anything is
            judged.
        topologies: where it can run.
        separate_hosts: it can run only where security servers and applications are on hosts of their own.
        description: why it matters, and how it is done.
        body: the coroutine; it gets a probe.

    """

    id: str
    title: str
    proves: tuple[str, ...]
    needs: frozenset[Feature]
    evidence: tuple[str, ...]
    fails: Mapping[str, str]
    remedy: str
    inconclusive: Mapping[str, str]
    topologies: tuple[Topology, ...]
    separate_hosts: bool
    description: str
    body: CheckBody

    @property
    def area(self) -> str:
        """The first part of the id, such as `MTLS`."""
        return self.id.split("-")[0]


class Catalogue:
    """All requirements, profiles and checks that this installation knows."""

    def __init__(self, requirements: Iterable[Requirement], profiles: Iterable[Profile]) -> None:
        self.requirements: dict[str, Requirement] = {}
        self.profiles: dict[str, Profile] = {}
        self._checks: dict[str, Check] = {}
        self.extend(requirements, profiles)

    def extend(self, requirements: Iterable[Requirement] = (), profiles: Iterable[Profile] = ()) -> None:
        """Add requirements and profiles, such as those of a country beside those of this suite.

        Raises:
            SuiteFault: an id is taken.

        """
        for requirement in requirements:
            _refuse_taken(requirement.id, self.requirements)
            self.requirements[requirement.id] = requirement
        for profile in profiles:
            _refuse_taken(profile.id, self.profiles)
            self.profiles[profile.id] = profile

    @property
    def checks(self) -> tuple[Check, ...]:
        """Area by area in the catalogue's reading order, then by id."""
        areas = [area.value for area in Area]
        return tuple(sorted(self._checks.values(), key=lambda check: (areas.index(check.area), check.id)))

    def __getitem__(self, check_id: str) -> Check:
        return self._checks[check_id]

    def __contains__(self, check_id: object) -> bool:
        return check_id in self._checks

    def level_of(self, check: Check, profile: Profile) -> Level | None:
        """The strictest level among the requirements that the check proves, under a profile; None: not part of it."""
        levels = [level for each in check.proves if (level := profile.level_of(self.requirements[each])) is not None]
        return min(levels, key=list(Level).index) if levels else None

    def unproven(self) -> tuple[Requirement, ...]:
        """Requirements that no check proves."""
        proven = {requirement for check in self._checks.values() for requirement in check.proves}
        return tuple(each for each in self.requirements.values() if each.id not in proven)

    def check(
        self,
        *,
        id: str,  # noqa: A002 -- the word that everybody uses
        title: str,
        proves: list[str],
        needs: list[Feature],
        evidence: list[str],
        fails: Mapping[str, str],
        remedy: str,
        inconclusive: Mapping[str, str] | None = None,
        topologies: tuple[Topology, ...] = tuple(Topology),
        separate_hosts: bool = False,
    ) -> Callable[[CheckBody], CheckBody]:
        """Declare a check. The decorated coroutine stays as it is; its `Check` enters the catalogue.

        Raises:
            SuiteFault: the id is malformed or taken, a requirement is unknown, the docstring, the evidence or the
            reasons
                are missing, or the body is not a coroutine function.

        """

        def declare(body: CheckBody) -> CheckBody:
            built = Check(
                id=id,
                title=title,
                proves=tuple(proves),
                needs=frozenset(needs),
                evidence=tuple(evidence),
                fails=dict(fails),
                remedy=remedy,
                inconclusive=dict(inconclusive or {}),
                topologies=topologies,
                separate_hosts=separate_hosts,
                description=inspect.getdoc(body) or "",
                body=body,
            )
            self._refuse_malformed(built)
            self._checks[id] = built
            return body

        return declare

    def _refuse_malformed(self, check: Check) -> None:
        codes = [*check.fails, *check.inconclusive]
        problems = {
            "its id is not of the form AREA-nnn": not CHECK_ID.fullmatch(check.id),
            f"its area is none of {', '.join(Area)}": check.area not in {area.value for area in Area},
            "its id is taken": check.id in self._checks,
            "its title is empty": not check.title.strip(),
            "it proves no requirement": not check.proves,
            "it has no docstring": not check.description.strip(),
            "it promises no evidence": not check.evidence,
            "it promises the same evidence twice": len(set(check.evidence)) < len(check.evidence),
            "it names no reason to fail": not check.fails,
            "it names no remedy": not check.remedy.strip(),
            "a reason stands under both fails and inconclusive": len(set(codes)) < len(codes),
            "a reason is not a lower-case-with-dashes code": not all(REASON_CODE.fullmatch(code) for code in codes),
            "its body is not a coroutine function": not inspect.iscoroutinefunction(check.body),
        }
        problems |= {
            f"it proves {requirement}, which the requirement catalogue does not have": True
            for requirement in check.proves
            if requirement not in self.requirements
        }
        found = [problem for problem, present in problems.items() if present]
        if found:
            raise SuiteFault(
                f"check {check.id} is refused: {'; '.join(found)}",
                where=f"{check.body.__module__}.{getattr(check.body, '__qualname__', '?')}",
                next_step="mend the declaration; CONTRIBUTING.md shows one line by line",
            )


def _refuse_taken(id: str, known: Mapping[str, object]) -> None:  # noqa: A002 -- the word that everybody uses
    if id in known:
        raise SuiteFault(f"the id {id} is taken", next_step="choose another id; ids are permanent")
