"""A record from wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from conformance.report.bundle import BUNDLE_SUFFIX, read_bundle
from conformance.report.material import Material
from conformance.report.record_file import read_record

__all__ = ["read_material"]


def read_material(path: Path) -> Material:
    """What a `record.json` or a bundle holds; the name of the file tells which it is.

    Raises:
        UsageError: it is neither, or it is not sound.

    """
    return read_bundle(path).material if path.name.endswith(BUNDLE_SUFFIX) else Material(read_record(path))
