"""The waivers of a run file: its own entries, and signed ones that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from conformance.model.record import Waiver
from conformance.model.run_file import RunFileSource
from conformance.report.trust.key_files import read_trusted
from conformance.report.trust.keys import PublicKey
from conformance.report.trust.sealed import Distrust
from conformance.report.trust.waivers import open_waiver

__all__ = ["load_waivers"]

LARGEST_WAIVER = 256 * 1024


def load_waivers(source: RunFileSource, trust: Sequence[Path]) -> tuple[Waiver, ...]:
    """All waivers, in the order of the run file.

    Args:
        source: the run file.
        trust: public keys that count beside those that the run file names.

    Raises:
        UsageError: a key or a waiver cannot be read, or a signed waiver does not hold: by an unknown key, changed, or
            for another subject. That it has another role than the profile asks for is judged later, as is its expiry.

    """
    run_file = source.run_file
    if not run_file.waivers and not run_file.trust and not trust:
        return ()
    folder = source.path.resolve().parent
    trusted = read_trusted([*trust, *(folder / written for written in run_file.trust)])
    return tuple(_waiver(source, number, folder, trusted) for number in range(len(run_file.waivers)))


def _waiver(source: RunFileSource, number: int, folder: Path, trusted: Mapping[str, PublicKey]) -> Waiver:
    entry = source.run_file.waivers[number]
    if entry.file is None:
        assert entry.check and entry.reason and entry.owner and entry.expires  # noqa: S101, PT018 -- parsed so
        return Waiver(entry.check, entry.reason, entry.owner, entry.expires)
    place, subject = ("waivers", number, "file"), source.run_file.subject
    try:
        with (folder / entry.file).open("rb") as file:
            content = file.read(LARGEST_WAIVER)
    except OSError as error:
        raise source.refuse(
            place, f"the waiver {entry.file} cannot be read: {error.strerror}", next_step="name a *.waiver.json"
        ) from error
    facts = {"name": subject.name, "vendor": subject.vendor, "version": subject.version}
    try:
        return open_waiver(content, facts, trusted)
    except Distrust as why:
        raise source.refuse(
            place,
            f"the waiver {entry.file} {why}",
            next_step="name the key of its signer by --trust or under `trust:`, or have it signed for this subject",
        ) from why
