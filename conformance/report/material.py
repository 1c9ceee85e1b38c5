"""All that reports are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from conformance.model.canonical import canonical
from conformance.report.findings import RecordJson
from conformance.report.record_file import core_of

__all__ = ["Material"]


@dataclass(frozen=True)
class Material:
    """A record, and the files that it is about."""

    record: RecordJson
    """As `RunRecord.to_json` gives it, or `read_record` reads it."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The run file and the contracts, each under the path by which the record names it; empty if they are not at
    hand."""

    bundled: bytes | None = field(default=None, repr=False)
    """The core as it stands in the bundle that the record comes from."""
    rendered: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False, compare=False)
    """Reports that were rendered already, by what rendered them and the language: a bundle holds some of them, too."""

    @cached_property
    def core(self) -> bytes:
        """The record without the observations themselves, whose digests stay, as RFC 8785 spells it."""
        return canonical(core_of(self.record)) if self.bundled is None else self.bundled

    @cached_property
    def digest(self) -> str:
        """The name of the record: SHA-256 of its core, in hexadecimal."""
        return hashlib.sha256(self.core).hexdigest()
