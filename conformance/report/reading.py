"""A record from wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from conformance.model.errors import UsageError
from conformance.report.bundle import BUNDLE_SUFFIX, read_bundle
from conformance.report.material import Material
from conformance.report.record_file import read_record

__all__ = ["read_material"]


def read_material(path: Path) -> Material:
    """What a `record.json` or a bundle holds, or a folder with one of them; the name of the file tells which it is.

    Raises:
        UsageError: it is neither, or it is not sound.

    """
    file = _inside(path) if path.is_dir() else path
    return read_bundle(file).material if file.name.endswith(BUNDLE_SUFFIX) else Material(read_record(file))


def _inside(folder: Path) -> Path:
    record, bundles = folder / "record.json", sorted(folder.glob(f"*{BUNDLE_SUFFIX}"))
    if record.is_file():
        return record
    if len(bundles) != 1:
        raise UsageError(
            f"holds no record.json, and {len(bundles):,} bundles",
            where=str(folder),
            next_step=f"name a record.json, a file *{BUNDLE_SUFFIX}, or a folder that holds one",
        )
    return bundles[0]
