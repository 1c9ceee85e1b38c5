"""What a run is told beside its run file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conformance.model.errors import UsageError
from conformance.report.formats import DEFAULT_FORMATS
from conformance.report.language import DEFAULT_LANGUAGE

__all__ = ["DEFAULT_OUT", "RunOptions", "RuntimeChoice", "selected_checks"]

RuntimeChoice = Literal["auto", "process", "container"]
DEFAULT_OUT = Path("meshmark-report")


@dataclass(frozen=True)
class RunOptions:
    """Options of a run; what is None is left to the run file.

    Attributes:
        out: the folder that the reports go to.
        only: the ids of the checks to run; None: all.
        seed: of everything generated.
        envoy: a version, the path of a binary, or an image.
        runtime: auto, process or container.
        formats: of the reports.
        language: of the reports and of the summary.
        trust: public keys, or folders of them, whose signatures on waivers count.
        workers: meshes at once.

    """

    out: Path = DEFAULT_OUT
    only: frozenset[str] | None = None
    seed: int | None = None
    envoy: str | None = None
    runtime: RuntimeChoice | None = None
    formats: tuple[str, ...] = DEFAULT_FORMATS
    language: str = DEFAULT_LANGUAGE
    trust: tuple[Path, ...] = ()
    workers: int = 1


def selected_checks(only: str | None) -> frozenset[str] | None:
    """The ids that `--only` names, separated by commas; None without it.

    Raises:
        UsageError: it names nothing.

    """
    if only is None:
        return None
    ids = frozenset(filter(None, (part.strip() for part in only.split(","))))
    if not ids:
        raise UsageError("--only names no check", next_step="give ids such as MTLS-001, separated by commas")
    return ids
