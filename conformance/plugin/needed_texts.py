"""Patterns of the run file that would take out what a record cannot do without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.model.run_file import RunFileSource
from conformance.probe.redaction import PLACEHOLDER

if TYPE_CHECKING:
    from conformance.plugin.loading import LoadedRun

__all__ = ["refuse_needed_texts"]


def refuse_needed_texts(source: RunFileSource, loaded: LoadedRun) -> None:
    """See that no pattern of `redact` fits a text that must stand in the record: so whatever one fits can go.

    Raises:
        RunFileError: one does.

    """
    for number, written in enumerate(source.run_file.redact):
        pattern = re.compile(written)
        for what, text in _needed(loaded):
            if (found := pattern.search(text)) and found.group():
                raise source.refuse(
                    ("redact", number),
                    f"`redact.{number}` fits {found.group()[:40]!r} in {what}, which the record cannot do without",
                    next_step="write a narrower pattern, such as one with \\b and the exact number of digits",
                )


def _needed(loaded: LoadedRun) -> Iterator[tuple[str, str]]:
    subject = loaded.run_file.subject
    for text in (subject.name, subject.vendor, subject.version, *subject.contracts, loaded.path.name, PLACEHOLDER):
        yield "the name of the subject, its run file or its contracts", text
    for entry in loaded.plan:
        check = entry.check
        texts = (check.id, check.title, check.description, check.remedy, entry.reason, *check.proves, *check.evidence)
        for text in (*texts, *check.fails, *check.fails.values(), *check.inconclusive, *check.inconclusive.values()):
            yield f"the catalogue's own text on {check.id}", text
    for requirement in loaded.catalogue.requirements.values():
        for text in (requirement.id, requirement.text, *(source.id for source in requirement.sources)):
            yield f"the requirement {requirement.id}", text
    for waiver in loaded.waivers:
        for text in (waiver.reason, waiver.owner, waiver.expires.isoformat()):
            yield f"the waiver for {waiver.check}", text
