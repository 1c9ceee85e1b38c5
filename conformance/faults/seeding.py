"""What a seeded fault is: a defect that named checks must catch, each for a named reason, and no other check may mind.

A fault is written next to the area whose checks it proves, by `seed(...)`. Where a defect of the configuration can be said as data it
is an overlay (JSON Patch on xDS resources); else it is a small `Modifier`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.mesh import Modifier, Overlays
from conformance.model.errors import SuiteFault
from conformance.model.run_file import Overlay
from conformance.model.verdict import Verdict

__all__ = ["FAULTS", "Caught", "Fault", "patch", "seed"]


@dataclass(frozen=True)
class Caught:
    """What a check must say about a fault."""

    reason: str
    verdict: Verdict = Verdict.FAIL


@dataclass(frozen=True)
class Fault:
    """A seeded defect.

    Attributes:
        id: permanent; begins with the area in lower case.
        defect: what is wrong, in one sentence, as an operator would confess it.
        caught_by: for each check that must not pass, what it must say. All others must pass.
        modifier: makes the defect.
        subject_arguments: added to the command line of the reference building block.

    """

    id: str
    defect: str
    caught_by: Mapping[str, Caught]
    modifier: Modifier = field(default_factory=Modifier, repr=False)
    subject_arguments: tuple[str, ...] = ()

    @property
    def area(self) -> str:
        """The area whose checks it proves."""
        return self.id.split("-")[0].upper()


FAULTS: dict[str, Fault] = {}
"""All seeded faults by id; `faults.complete_faults()` fills it."""


def seed(
    id: str,  # noqa: A002 -- the word that everybody uses
    *,
    defect: str,
    caught_by: Mapping[str, str | Caught],
    modifier: Modifier | None = None,
    overlays: list[Overlay] | None = None,
    subject_arguments: tuple[str, ...] = (),
) -> Fault:
    """Declare a fault. A plain string in `caught_by` is the reason of a fail.

    Raises:
        SuiteFault: the id is malformed or taken, or nothing is changed or caught.

    """
    if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", id) or id in FAULTS:
        raise SuiteFault(f"fault {id!r} is malformed or taken", next_step="choose another id: area-what-is-wrong")
    if not caught_by or not (modifier or overlays or subject_arguments):
        raise SuiteFault(f"fault {id} changes nothing or is caught by nobody", next_step="complete its declaration")
    fault = Fault(
        id=id,
        defect=defect,
        caught_by={
            check: caught if isinstance(caught, Caught) else Caught(caught) for check, caught in caught_by.items()
        },
        modifier=modifier or (Overlays(overlays, where=f"fault {id}") if overlays else Modifier()),
        subject_arguments=subject_arguments,
    )
    FAULTS[id] = fault
    return fault


def patch(type: str, name: str, *operations: dict[str, Any], server: str = "*") -> Overlay:  # noqa: A002
    """An overlay: JSON Patch operations (RFC 6902) on the resources of a type whose names match a glob."""
    return Overlay.model_validate({"type": type, "name": name, "server": server, "patch": list(operations)})
