"""From a run file's path to everything that is known before anything is started. Every mistake of the user surfaces
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from conformance.checks.catalogue import complete_catalogue
from conformance.mesh import IMAGE_PLACEHOLDERS, PLACEHOLDERS, RESERVED_NAMES
from conformance.model.check import Catalogue, Topology
from conformance.model.errors import UsageError
from conformance.model.record import PlanEntry, Waiver, plan_checks
from conformance.model.requirements import Feature, Profile
from conformance.model.run_file import Application, RunFile, RunFileSource, parse_run_file
from conformance.model.yaml_source import YamlDocument
from conformance.openapi.contract import Contract, ContractFile, load_contract
from conformance.plugin.entry import RUN_FILE_SUFFIX
from conformance.plugin.needed_texts import refuse_needed_texts
from conformance.plugin.options import RunOptions
from conformance.plugin.waivers import load_waivers
from conformance.probe.redaction import Redaction
from conformance.subjects.placeholders import substitute
from conformance.system.folders import bundled

__all__ = ["LoadedRun", "load_run", "named_files", "read_run_file"]

LARGEST_RUN_FILE = 1024 * 1024
NAME_ONE = f"give the path of a *{RUN_FILE_SUFFIX}; `meshmark init CONTRACT` writes one"

CREDENTIAL = re.compile(r"secret|token|passw|credential|api_?key|private", re.IGNORECASE)
"""Names of environment variables whose values stay out of the record."""

UNNAMED_VENDOR = "CHANGE ME"
"""What `meshmark init` writes; no report may carry it."""


@dataclass(frozen=True)
class LoadedRun:
    """A run that is ready to be started."""

    path: Path
    run_file: RunFile
    profile: Profile
    contracts: tuple[Contract, ...]
    catalogue: Catalogue
    plan: tuple[PlanEntry, ...]
    waivers: tuple[Waiver, ...]
    seed: int
    overlay_places: tuple[str, ...]
    """Where each overlay stands in the run file."""
    document: YamlDocument = field(repr=False)
    """Where each value of the run file stands."""
    redaction: Redaction = field(repr=False)
    """What must not enter the record."""
    files: Mapping[str, bytes] = field(repr=False)
    """Run file and contracts as they were read, each under the path by which the record names it; without secrets."""


def read_run_file(path: Path) -> RunFileSource:
    """Read and parse a run file.

    Raises:
        UsageError: it is not there, cannot be read, or is wrong.

    """
    try:
        if path.exists() and not path.is_file():
            # A device or a pipe would be read for ever.
            raise UsageError("a run file is a regular file", where=str(path), next_step=NAME_ONE)
        with path.open("rb") as file:
            content = file.read(LARGEST_RUN_FILE + 1)
    except OSError as problem:
        raise UsageError(
            f"the run file cannot be read: {problem.strerror}", where=str(path), next_step=NAME_ONE
        ) from problem
    if not path.name.endswith(RUN_FILE_SUFFIX):
        raise UsageError(
            f"the name of a run file ends with {RUN_FILE_SUFFIX}",
            where=str(path),
            next_step="rename it, or name another",
        )
    if len(content) > LARGEST_RUN_FILE:
        raise UsageError(f"the run file is larger than {LARGEST_RUN_FILE:,} bytes", where=str(path), next_step=NAME_ONE)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise UsageError(
            f"the run file is not UTF-8 text: {problem.reason}", where=str(path), next_step="save it as UTF-8"
        ) from problem
    return parse_run_file(text, path)


def load_run(path: Path, options: RunOptions) -> LoadedRun:
    """Load the run file, its contracts and the plan.

    Raises:
        UsageError: whatever the user has to mend, with file, line and column where there is one.

    """
    source = read_run_file(path)
    run_file = source.run_file
    catalogue = complete_catalogue()
    profile = catalogue.profiles.get(run_file.profile)
    if profile is None:
        known = ", ".join(sorted(catalogue.profiles))
        raise source.refuse(("profile",), f"unknown profile `{run_file.profile}`", next_step=f"use one of: {known}")
    waivers = load_waivers(source, options.trust)
    _refuse_bad_names(source, catalogue)
    _refuse_bad_waivers(source, waivers, catalogue)
    _refuse_bad_placeholders(source)
    if options.workers > 1 and run_file.subject.url is not None:
        raise source.refuse(
            ("subject", "url"),
            "several meshes at once would call one subject at once",
            next_step="leave out --workers for a subject with `url:`",
        )
    only = options.only
    if only is not None and (unknown := sorted(only - {check.id for check in catalogue.checks})):
        raise UsageError(
            f"--only names checks that do not exist: {', '.join(unknown)}",
            next_step="`meshmark catalogue` lists all checks",
        )
    contracts = tuple(_contract(source, number, written) for number, written in enumerate(run_file.subject.contracts))
    plan = plan_checks(
        catalogue,
        profile,
        declared=frozenset(Feature(feature) for feature in run_file.features),
        topology=Topology(run_file.topology),
        separate_hosts=run_file.separate_hosts,
        only=only,
    )
    redaction = Redaction(_secrets(run_file), run_file.redact)
    loaded = LoadedRun(
        path=path,
        run_file=run_file,
        profile=profile,
        contracts=contracts,
        catalogue=catalogue,
        plan=plan,
        waivers=waivers,
        seed=run_file.seed if options.seed is None else options.seed,
        overlay_places=tuple(source.document.where(("overlays", number)) for number in range(len(run_file.overlays))),
        document=source.document,
        redaction=redaction,
        files=_files(source, contracts, redaction),
    )
    refuse_needed_texts(source, loaded)
    return loaded


def _secrets(run_file: RunFile) -> list[str]:
    """Values of the run file that are secret as they are."""
    started = [run_file.subject, *run_file.companions]
    named = [pair for each in started for pair in each.environment.items()]
    return [*run_file.subject.headers.values(), *(value for name, value in named if CREDENTIAL.search(name))]


def _files(source: RunFileSource, contracts: Sequence[Contract], redaction: Redaction) -> dict[str, bytes]:
    """What goes into a bundle. A run file may hold the headers by which the building block knows its callers. A
    contract with something secret stays out as a whole: another one than the judged one would be of no use.
    """
    files = {source.path.name: redaction.document(source.text).encode()}
    for written, contract in zip(source.run_file.subject.contracts, contracts, strict=True):
        for file, name in named_files(written, contract):
            files[name] = file.content
    return {
        path: content
        for path, content in files.items()
        if redaction.document(text := content.decode(errors="surrogateescape")) == text
    }


def named_files(written: str, contract: Contract) -> list[tuple[ContractFile, str]]:
    """The files of a contract, each with the path by which the record names it.

    Args:
        written: the contract's path as the run file has it.
        contract: what was read from there.

    """
    root, *others = contract.files
    folder = PurePosixPath(written).parent
    beside = [(other, str(folder / Path(other.path).relative_to(contract.path.parent))) for other in others]
    return [(root, written), *beside]


def _refuse_bad_names(source: RunFileSource, catalogue: Catalogue) -> None:
    run_file = source.run_file
    named: list[tuple[tuple[str | int, ...], str]] = [(("subject", "name"), run_file.subject.name)]
    named += [(("companions", number, "name"), each.name) for number, each in enumerate(run_file.companions)]
    for location, name in named:
        if name in RESERVED_NAMES:
            raise source.refuse(location, f"the name `{name}` is the suite's own", next_step="choose another name")
    if run_file.subject.vendor == UNNAMED_VENDOR:
        raise source.refuse(
            ("subject", "vendor"), "nobody answers for the building block yet", next_step="put in the vendor's name"
        )


def _refuse_bad_waivers(source: RunFileSource, waivers: Sequence[Waiver], catalogue: Catalogue) -> None:
    seen: set[str] = set()
    for number, waiver in enumerate(waivers):
        place = ("waivers", number, "check" if waiver.signature is None else "file")
        if waiver.check not in catalogue:
            raise source.refuse(
                place,
                f"waiver for the unknown check `{waiver.check}`",
                next_step="`meshmark catalogue` lists all checks",
            )
        if waiver.check in seen:
            raise source.refuse(place, f"second waiver for `{waiver.check}`", next_step="keep one of the two")
        seen.add(waiver.check)


def _refuse_bad_placeholders(source: RunFileSource) -> None:
    run_file = source.run_file
    described: list[tuple[tuple[str | int, ...], Application]] = [(("subject",), run_file.subject)]
    described += [(("companions", number), each) for number, each in enumerate(run_file.companions)]
    for location, application in described:
        known = dict.fromkeys(PLACEHOLDERS if application.image is None else IMAGE_PLACEHOLDERS, "")
        texts: dict[tuple[str | int, ...], str] = {
            (*location, "command", number): text for number, text in enumerate(application.command or ())
        }
        texts |= {(*location, "environment", name): text for name, text in application.environment.items()}
        for place, text in texts.items():
            try:
                substitute([text], known)
            except UsageError as problem:
                raise source.refuse(place, problem.what, next_step=problem.next_step) from problem


def _contract(source: RunFileSource, number: int, written: str) -> Contract:
    place = ("subject", "contracts", number)
    folder = source.path.resolve().parent
    try:
        (path,) = substitute([written], {"bundled": bundled("").as_posix().rstrip("/"), "run_file_folder": folder})
    except UsageError as problem:
        raise source.refuse(place, problem.what, next_step=problem.next_step) from problem
    try:
        return load_contract(folder / path)
    except UsageError as problem:
        if (folder / path).is_file():
            raise
        raise source.refuse(place, f"{problem.what}: {written}", next_step=problem.next_step) from problem
