"""The run file: one shareable YAML that says what is certified, how it is reached and against which profile.

`parse_run_file` is pure: text in, values out. Whatever is wrong is a `RunFileError` that names file, line and column,
and for a misspelt key the nearest valid one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from conformance.model.errors import UsageError
from conformance.model.policies import Topology
from conformance.model.requirements import Feature
from conformance.model.timeouts import Timeouts
from conformance.model.yaml_source import YamlDocument, parse_yaml

__all__ = [
    "Application",
    "Bounds",
    "Companion",
    "GeneratedInput",
    "Overlay",
    "RunFile",
    "RunFileError",
    "RunFileSource",
    "Subject",
    "WaiverEntry",
    "parse_run_file",
    "run_file_schema",
]

ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Text = Annotated[str, Field(min_length=1)]
Redacted = Annotated[str, Field(min_length=1, max_length=500)]


class RunFileError(UsageError):
    """The run file is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Application(_Part):
    """How a building block is reached or started. Exactly one of `url`, `command`, `image`."""

    url: Annotated[str, Field(pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$")] | None = None
    """It runs already: origin and optional base path, such as http://127.0.0.1:8080/api."""
    command: Annotated[list[Text], Field(min_length=1)] | None = None
    """It is started from this argument list. `{port}` is the port to listen on, and `{host}` the address, which is
    127.0.0.1 unless it has a host of its own. Also known: `{python}`, `{bundled}`, `{run_file_folder}`,
    `{work_folder}`, and `{mesh}`, the address under which it calls others through the mesh."""
    image: Text | None = None
    """It is started from this local container image."""
    container_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """With `image`: the port it listens on inside its container."""
    environment: dict[str, str] = {}
    """Environment variables for `command` or `image`; the same placeholders as in `command`."""
    ready: Annotated[str, Field(pattern=r"^/[^\s]*$")] = "/"
    """A path that answers below 500 once the building block is ready."""
    base_path: Annotated[str, Field(pattern=r"^(/[^\s?#]*[^/\s?#])?$")] = ""
    """With `command` or `image`: the path under which the contract's paths live."""

    @model_validator(mode="after")
    def _one_way(self) -> Application:
        ways = [way for way in ("url", "command", "image") if getattr(self, way) is not None]
        if len(ways) != 1:
            raise ValueError(f"exactly one of url, command, image is needed, here: {', '.join(ways) or 'none'}")
        return self


class Companion(Application):
    """Another building block of the mesh, which the subject calls through the security servers."""

    name: ServiceName
    """Its service name in the mesh."""
    calls: list[ServiceName] = []
    """The services that it calls itself; the mesh lets through nothing else."""


class Subject(Application):
    """The building block being judged."""

    role: Literal["building-block"] = "building-block"
    """What kind of deployment is judged."""
    name: ServiceName
    """Its service name in the mesh."""
    vendor: Text
    """Who answers for it."""
    version: Text
    """Which version is judged; it stands in the report."""
    contracts: Annotated[list[Text], Field(min_length=1)]
    """OpenAPI 3.x documents, relative to the run file. `{bundled}` stands for the suite's own data."""
    calls: list[ServiceName] = []
    """The companions that it calls; the mesh lets through nothing else."""
    headers: dict[str, str] = {}
    """Sent with every call to the building block, such as a test account's authorization."""


class GeneratedInput(_Part):
    """The budget of the check that generates input from the contract."""

    examples: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Generated calls for each operation and phase, at most."""
    skip: list[Text] = []
    """Operations that must not be called with generated input, such as `DELETE /v1/everything`. They are named in the
    report.
    """


class Overlay(_Part):
    """A JSON Patch on generated xDS resources, so that what is certified is the configuration that really runs."""

    type: Literal["listener", "scoped-route", "route", "cluster", "endpoint", "secret", "extension-config"]
    """The kind of resource."""
    name: Text
    """Glob of resource names."""
    server: Text = "*"
    """Glob of security servers' names."""
    patch: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """Operations of RFC 6902."""


class Bounds(_Part):
    """What the subject promises about time. Without a promise times are recorded and not judged."""

    revocation_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds from revoking access until the caller is refused on its open connections."""
    propagation_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Seconds from a change of policy to its enforcement, for 99 % of the changes."""


class WaiverEntry(_Part):
    """Somebody answers for a known fail until a day. Either `file`, or all the others."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["file"]}, {"required": ["check", "reason", "owner", "expires"]}],
        }
    )

    check: Text | None = None
    """The id of the check."""
    reason: Text | None = None
    """Why it is tolerable."""
    owner: Text | None = None
    """Who answers for it."""
    expires: date | None = None
    """The last day on which it is good."""
    file: Text | None = None
    """A signed waiver, relative to the run file; `meshmark waiver sign` makes them. Some profiles take no others."""


class RunFile(_Part):
    """What is certified, how it is reached, and against which profile."""

    subject: Subject
    """The building block being judged."""
    profile: Text = "mesh"
    """The named set of requirements: mesh or govstack."""
    features: list[Feature] = []
    """Optional features that the subject claims; they are then judged."""
    topology: Literal["inter-proxy", "sidecar", "external-gateway"] = "inter-proxy"
    """Where the security servers stand: before applications that have hosts of their own, beside each application, or
    as inter-proxy with one more at the border, where callers of another trust domain come in."""
    hosts: Literal["shared", "separate"] | None = None
    """Whether all share this machine's loopback, or have hosts of their own (network namespaces, for which root on
    Linux is needed). By default shared for inter-proxy, separate for the others, which cannot be otherwise."""
    runtime: Literal["auto", "process", "container"] = "auto"
    """How Envoy is run."""
    envoy: Text | None = None
    """A version, the path of a binary, or a container image; the embedded Envoy by default."""
    companions: list[Companion] = []
    """Other building blocks that the subject calls."""
    generated_input: GeneratedInput = GeneratedInput()
    """The budget of the check that generates input from the contract."""
    overlays: list[Overlay] = []
    """Changes to the generated configuration."""
    waivers: list[WaiverEntry] = []
    """Known fails that somebody answers for."""
    trust: Annotated[list[Text], Field(max_length=50)] = []
    """Public keys whose signatures on waivers count, or folders of them, relative to the run file; beside those of
    `--trust`."""
    redact: Annotated[list[Redacted], Field(max_length=50)] = []
    """Regular expressions (Python's) of what must not enter the record, such as the form of a national identity number.
    Credentials are always left out."""
    timeouts: dict[str, Annotated[float, Field(gt=0, le=3600)]] = {}
    """Seconds, by name; the table is in the documentation and in every record."""
    bounds: Bounds = Bounds()
    """What the subject promises about time."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """The seed of everything generated."""

    @property
    def separate_hosts(self) -> bool:
        """Whether security servers and applications get hosts of their own."""
        return self.hosts == "separate" or self.topology != "inter-proxy"

    def timeout_table(self) -> Timeouts:
        """The documented table with this file's changes."""
        return Timeouts(**self.timeouts)


@dataclass(frozen=True)
class RunFileSource:
    """A run file and where each of its values stands."""

    path: Path
    run_file: RunFile
    document: YamlDocument
    text: str = field(repr=False)

    def refuse(self, location: tuple[str | int, ...], what: str, *, next_step: str) -> RunFileError:
        """An error that points at a value of the file."""
        return RunFileError(what, where=self.document.where(location), next_step=next_step)


def parse_run_file(text: str, path: Path) -> RunFileSource:
    """Read a run file.

    Args:
        text: its content.
        path: its name, for messages.

    Raises:
        RunFileError: with file:line:column, what is wrong there and what to do.

    """
    document = parse_yaml(text, source=str(path))
    if not isinstance(document.value, dict):
        raise RunFileError(
            "a run file is a mapping with the key `subject`",
            where=f"{path}:1:1",
            next_step="`meshmark init CONTRACT` writes a commented run file to start from",
        )
    try:
        run_file = RunFile.model_validate(document.value)
    except ValidationError as problem:
        # A misspelt key goes before the one that is missing because of it.
        errors = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
        raise _refusal([_sentence(error, document) for error in errors]) from None
    if found := [(document.where(location), what) for location, what in _contradictions(run_file)]:
        raise _refusal(found)
    return RunFileSource(path, run_file, document, text)


def run_file_schema() -> dict[str, Any]:
    """The JSON Schema of run files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_model_schema()}


def _contradictions(run_file: RunFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What each value allows alone, and all together do not: where, and what."""
    subject, companions = run_file.subject, run_file.companions
    names = [subject.name, *(companion.name for companion in companions)]
    for number, companion in enumerate(companions):
        if companion.name in names[: number + 1]:
            yield ("companions", number, "name"), f"two building blocks have the name `{companion.name}`"
    callers: list[tuple[tuple[str | int, ...], Subject | Companion]] = [(("subject",), subject)]
    callers += [(("companions", number), companion) for number, companion in enumerate(companions)]
    for place, caller in callers:
        for number, called in enumerate(caller.calls):
            if called not in names:
                yield (*place, "calls", number), f"`{called}` is no companion; {_hint(called, names)}"
    yield from _misplaced(run_file)
    yield from _half_waivers(run_file)
    yield from _bad_patterns(run_file)
    for name in run_file.timeouts:
        if name not in Timeouts.names():
            yield ("timeouts", name), f"unknown timeout `{name}`; {_hint(name, Timeouts.names())}"


def _half_waivers(run_file: RunFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, waiver in enumerate(run_file.waivers):
        place = ("waivers", number)
        plain = {name: getattr(waiver, name) for name in ("check", "reason", "owner", "expires")}
        if waiver.file is None:
            for name, value in plain.items():
                if value is None:
                    yield place, f"the key `waivers.{number}.{name}` is missing"
        elif given := [name for name, value in plain.items() if value is not None]:
            yield (*place, given[0]), f"a waiver in a file says itself what `{given[0]}` is: leave it out here"


def _bad_patterns(run_file: RunFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, written in enumerate(run_file.redact):
        place = ("redact", number)
        try:
            pattern = re.compile(written)
        except (re.error, OverflowError, RecursionError) as error:
            yield place, f"`redact.{number}` is no regular expression: {error}"
            continue
        if pattern.search(""):
            yield place, f"`redact.{number}` fits the empty text, so it would be found everywhere"


PLACED: dict[Feature, tuple[str, ...]] = {
    Feature.INTER_PROXY: (Topology.INTER_PROXY, Topology.EXTERNAL_GATEWAY),
    Feature.SIDECAR: (Topology.SIDECAR,),
    Feature.EXTERNAL_GATEWAY: (Topology.EXTERNAL_GATEWAY,),
}
"""The topologies in which a way to place security servers can be judged."""


def _misplaced(run_file: RunFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What does not go with where the security servers stand."""
    topology, separate = run_file.topology, run_file.separate_hosts
    for number, feature in enumerate(run_file.features):
        fitting = PLACED.get(feature, (topology,))
        if topology not in fitting:
            yield ("features", number), f"the feature `{feature}` needs `topology: {fitting[0]}`, here: {topology}"
        elif feature in PLACED and not separate:
            yield ("features", number), f"the feature `{feature}` is judged between hosts: add `hosts: separate`"
    if not separate:
        return
    if run_file.hosts == "shared":
        yield ("hosts",), f"`topology: {topology}` needs hosts of their own: leave out `hosts: shared`"
    named: list[tuple[tuple[str | int, ...], Application]] = [(("subject",), run_file.subject)]
    named += [(("companions", number), companion) for number, companion in enumerate(run_file.companions)]
    for place, application in named:
        if application.url is not None:
            yield (*place, "url"), "what somebody else runs cannot be put on a host of its own: use `command:`"
        if application.image is not None and run_file.runtime != "container":
            yield (*place, "image"), "a container can be put beside containers only: add `runtime: container`"


def _refusal(found: Sequence[tuple[str, str]]) -> RunFileError:
    (where, what), *others = found
    return RunFileError(
        what,
        where=where,
        detail="\n".join(f"{place}: {other}" for place, other in others) or None,
        next_step="mend the run file; every key is described in the README and in the run-file schema",
    )


def _hint(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(sorted(known))}"


def _sentence(error: ErrorDetails, document: YamlDocument) -> tuple[str, str]:
    location = tuple(error["loc"])
    key = ".".join(str(part) for part in location) or "the run file"
    if error["type"] == "extra_forbidden":
        what = f"unknown key `{location[-1]}`; {_hint(str(location[-1]), _known_keys(location[:-1]))}"
    elif error["type"] == "missing":
        what = f"the key `{key}` is missing"
    else:
        message = error["msg"].removeprefix("Value error, ")
        given = error.get("input")
        shown = f", here: {given!r:.80}" if isinstance(given, str | int | float | bool) else ""
        if error["type"] == "string_type" and isinstance(given, int | float):
            message = "text is needed; write it in quotes"
        what = f"`{key}`: {message}{shown}"
    return document.where(location), what


@cache
def _model_schema() -> dict[str, Any]:
    return RunFile.model_json_schema()


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that are valid at a place, from the models themselves."""
    schema = _model_schema()
    here: dict[str, Any] = schema
    for part in location:
        here = here.get("items", {}) if isinstance(part, int) else here.get("properties", {}).get(part, {})
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
    return list(here.get("properties", {}))
