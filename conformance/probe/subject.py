"""What a check may know about the subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.model.run_file import Bounds
from conformance.openapi.contract import Contract
from conformance.probe.redaction import Redaction

__all__ = ["SubjectFacts"]


@dataclass(frozen=True)
class SubjectFacts:
    """How it is named and called, and what its contracts say."""

    name: str
    contracts: tuple[Contract, ...]
    ready_path: str
    headers: Mapping[str, str]
    generated_examples: int
    skipped_operations: tuple[str, ...]
    seed: int
    bounds: Bounds = field(default_factory=Bounds)
    redaction: Redaction = field(default_factory=lambda: Redaction(()))
    """What must not enter the record."""
