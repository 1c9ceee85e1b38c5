"""What a seeded fault is: a defect that named checks must catch, each for a named reason, and no other check may mind.

A fault is written next to the area whose checks it proves, by `seed(...)`. Where a defect of the configuration can be
said as data it is an overlay (JSON Patch on xDS resources); else it is a small `Modifier`.
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

__all__ = [
    "EXTERNAL_GATEWAY",
    "FAULTS",
    "INTER_PROXY",
    "REFERENCE",
    "REFERENCES",
    "SIDECAR",
    "Caught",
    "Fault",
    "SubjectArguments",
    "patch",
    "seed",
]


REFERENCE = "citizen-id"
"""The building block that stands behind the faults: the smallest reference."""
INTER_PROXY, SIDECAR, EXTERNAL_GATEWAY = (
    f"{REFERENCE}-{way}" for way in ("inter-proxy", "sidecar", "external-gateway")
)
REFERENCES = (REFERENCE, INTER_PROXY, SIDECAR, EXTERNAL_GATEWAY)
"""Its run files: on shared loopback, and on hosts of their own in each topology."""


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
        contract_patch: changes the reference building block's contract (JSON Patch, RFC 6902).
        on: the run file of the reference that it is seeded into, by which it has its topology.

    """

    id: str
    defect: str
    caught_by: Mapping[str, Caught]
    modifier: Modifier = field(default_factory=Modifier, repr=False)
    contract_patch: tuple[dict[str, Any], ...] = ()
    on: str = REFERENCE

    @property
    def area(self) -> str:
        """The area whose checks it proves."""
        return self.id.split("-")[0].upper()


class SubjectArguments(Modifier):
    """Starts the reference building block with additional arguments, such as `--fault hangs`."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self._arguments = arguments

    def arguments(self, application: str, arguments: list[str]) -> list[str]:
        """The command line, a little longer."""
        return [*arguments, *self._arguments] if application == REFERENCE else arguments


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
    contract_patch: tuple[dict[str, Any], ...] = (),
    on: str = REFERENCE,
) -> Fault:
    """Declare a fault. A plain string in `caught_by` is the reason of a fail.

    Exactly one of the four before the last says how the defect is made: a modifier, overlays, arguments added to the
    command line of the reference building block, or a patch of its contract.

    Raises:
        SuiteFault: the id is malformed or taken, or nothing is changed or caught.

    """
    if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", id) or id in FAULTS:
        raise SuiteFault(f"fault {id!r} is malformed or taken", next_step="choose another id: area-what-is-wrong")
    ways = [way for way in (modifier, overlays, subject_arguments, contract_patch) if way]
    if not caught_by or len(ways) != 1:
        raise SuiteFault(
            f"fault {id} is caught by nobody, or is not made in exactly one way", next_step="complete its declaration"
        )
    if overlays:
        modifier = Overlays(overlays, where=lambda number: f"fault {id}, overlay {number}")
    elif subject_arguments:
        modifier = SubjectArguments(subject_arguments)
    fault = Fault(
        id=id,
        defect=defect,
        caught_by={
            check: caught if isinstance(caught, Caught) else Caught(caught) for check, caught in caught_by.items()
        },
        modifier=modifier or Modifier(),
        contract_patch=contract_patch,
        on=on,
    )
    FAULTS[id] = fault
    return fault


def patch(type: str, name: str, *operations: dict[str, Any], server: str = "*") -> Overlay:  # noqa: A002
    """An overlay: JSON Patch operations (RFC 6902) on the resources of a type whose names match a glob."""
    return Overlay.model_validate({"type": type, "name": name, "server": server, "patch": list(operations)})
