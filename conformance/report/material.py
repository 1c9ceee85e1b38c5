"""All that reports are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from conformance.report.findings import RecordJson
from conformance.report.record_file import digest_of

__all__ = ["Material"]


@dataclass(frozen=True)
class Material:
    """A record, and the files that it is about."""

    record: RecordJson
    """As `RunRecord.to_json` gives it, or `read_record` reads it."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The run file and the contracts, each under the path by which the record names it; empty if they are not at
    hand."""

    @cached_property
    def digest(self) -> str:
        """The name of the record (`digest_of`)."""
        return digest_of(self.record)
