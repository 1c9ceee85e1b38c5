"""What the commands that verify have in common: their options, and where they find keys and catalogue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeVar

import click

from conformance.model.errors import UsageError
from conformance.report.bundle import Bundle
from conformance.report.language import RECORD_LANGUAGE, speaking
from conformance.report.registry.certified import Certificates, read_certificates
from conformance.report.registry.verification import Finding, FindingKind, Verifier
from conformance.report.trust.key_files import read_trusted
from conformance.report.trust.known_catalogue import KnownCatalogue, read_catalogue
from conformance.report.trust.sealed import Distrust
from conformance.report.trust.verification import verify_bundle
from conformance.report.wording import utc

__all__ = ["catalogue_option", "certificates_below", "chosen_catalogue", "moment_of", "read_whole", "verifier_of"]

Command = TypeVar("Command", bound=Callable[..., int])
LARGEST_FILE = 64 * 1024 * 1024


def catalogue_option() -> Callable[[Command], Command]:
    """`--catalogue`."""
    return click.option(
        "--catalogue",
        type=click.Path(path_type=Path),
        help="The catalogue that judged, from `meshmark catalogue --format json`; by default this version's own.",
    )


def chosen_catalogue(path: Path | None) -> KnownCatalogue:
    """The catalogue of a file, or that of this installation."""
    if path is not None:
        return read_catalogue(path)
    from conformance import __version__  # noqa: PLC0415
    from conformance.checks.catalogue import complete_catalogue  # noqa: PLC0415 -- all checks
    from conformance.model.catalogue_facts import catalogue_facts  # noqa: PLC0415

    return KnownCatalogue.of(catalogue_facts(complete_catalogue()), __version__)


def verifier_of(trust: tuple[Path, ...], catalogues: tuple[Path, ...], today: date) -> Verifier:
    """For a registry: what `meshmark verify` asks about a bundle, as of the end of a day.

    Raises:
        UsageError: a key or a catalogue cannot be read.

    """
    trusted, at = read_trusted(trust), datetime.combine(today, time.max, UTC)
    own = chosen_catalogue(None)
    known = {each.digest: each for each in (own, *map(chosen_catalogue, catalogues))}

    def verify(bundle: Bundle) -> list[Finding]:
        judged_by = bundle.material.record["suite"]["catalogue_digest"]
        found = verify_bundle(bundle, trusted, known.get(judged_by, own), at=at)
        signed = [
            Finding.known(FindingKind.NOTE, f"finding_text.signed_{each.role}", name=each.name, at=utc(each.at))
            for each in found.signatures
        ]
        return [
            *(Finding(FindingKind.REFUSED, each.rstrip(".")) for each in found.refusals),
            *signed,
        ]

    return Verifier(" ".join([*sorted(trusted), *sorted(known), today.isoformat()]), verify)


def certificates_below(
    folder: Path, site: Path, trust: tuple[Path, ...], status: Path | None, today: date
) -> Certificates:
    """For a registry: the certificates below a folder, as of the end of a day.

    Raises:
        UsageError: a key or the status list cannot be read, or is not to be trusted.

    """
    listed = None if status is None else read_whole(status, "a status list")
    try:
        with speaking(RECORD_LANGUAGE):
            return read_certificates(folder, site, read_trusted(trust), listed, datetime.combine(today, time.max, UTC))
    except Distrust as why:
        raise UsageError(
            f"the status list {why}", where=str(status), next_step="name the list that the governance body signed"
        ) from why


def moment_of(text: str | None, option: str) -> datetime:
    """A moment out of `2026-11-25` (its end) or `2026-11-25T14:00:00Z`; now without a text.

    Raises:
        UsageError: it is neither.

    """
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no date", where=option, next_step="write it as 2026-11-25 or as 2026-11-25T14:00:00Z"
        ) from error
    if len(text) <= len("2026-11-25"):
        found = datetime.combine(found.date(), time.max)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def read_whole(path: Path, what: str) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: it cannot be read, or is too large to be what it should.

    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path), next_step=f"name {what}") from error
    if len(content) > LARGEST_FILE:
        raise UsageError(f"is larger than {LARGEST_FILE:,} bytes", where=str(path), next_step=f"name {what}")
    return content
