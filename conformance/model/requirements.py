"""Requirements and profiles as values: what a subject owes, by whose authority, and how strongly.

Invariants:
    * A requirement's id is permanent, and its prefix is its area: `MTLS-R1` belongs to `MTLS`.
    * Features are a closed list; what is not in `Feature` cannot be needed, declared or left out.
    * A profile weighs a requirement only where the requirement names the profile: absent means "not part of it".
    * A feature of a profile is either mandatory or optional, never both.

Nothing is read here: `parse_requirements` and `parse_profile` take what a YAML reader gave. The data is meshmark's own,
so whatever is wrong with it is a `SuiteFault` that names file, entry and field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn, TypeVar

from conformance.model.errors import SuiteFault

__all__ = [
    "Area",
    "Conflict",
    "Feature",
    "Level",
    "Profile",
    "Requirement",
    "Role",
    "Source",
    "parse_profile",
    "parse_requirements",
]

Name = TypeVar("Name", bound=StrEnum)


class Level(StrEnum):
    """How strongly a requirement binds, in the sense of RFC 2119; a MAY may be absent, but is checked once declared."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Role(StrEnum):
    """In which capacity somebody signs."""

    VENDOR = "vendor"
    """Who made the building block, or runs it."""
    LABORATORY = "laboratory"
    """Who tested it on behalf of others."""
    GOVERNANCE = "governance"
    """Who decides about certificates and exceptions."""


class Area(StrEnum):
    """The chapters of the catalogue, in reading order. Requirement and check ids begin with one of them."""

    MTLS = "MTLS"
    POLICY = "POLICY"
    AUTHZ = "AUTHZ"
    ROUTE = "ROUTE"
    RETRY = "RETRY"
    BREAK = "BREAK"
    RATE = "RATE"
    FAULT = "FAULT"
    DISCOVERY = "DISCOVERY"
    TRACE = "TRACE"
    OBSERVE = "OBSERVE"
    TOPOLOGY = "TOPOLOGY"
    API = "API"


class Feature(StrEnum):
    """What a mesh can do: requirements need features, run files declare them, profiles demand or allow them."""

    MTLS = "mtls"
    """Both ends of every hop between security servers prove who they are with certificates."""
    TLS_1_2 = "tls-1.2"
    """TLS 1.2 is allowed beside 1.3."""
    POLICY = "policy"
    """Rules are changed while the mesh runs."""
    AUTHORIZATION = "authorization"
    """Security servers decide by rules who may call what."""
    AUTHENTICATION_SERVICE = "authentication-service"
    """A service in the request path is asked before a call is let through."""
    BEARER_TOKENS = "bearer-tokens"
    """Calls carry signed tokens (JWT) beside the caller's certificate."""
    ROUTING = "routing"
    """Calls find their building block by path, method, header and authority."""
    WEIGHTED_ROUTING = "weighted-routing"
    """Calls are split among versions by weight, or switched from one version to another."""
    MEDIATOR_ADDRESSING = "mediator-addressing"
    """Services are addressed as the Information Mediator does: `/r1/{instance}/{class}/{member}/...`."""
    GRPC = "grpc"
    """gRPC calls pass the mesh."""
    WEBSOCKET = "websocket"
    """WebSocket connections pass the mesh."""
    RETRY = "retry"
    """Security servers repeat failed calls."""
    CIRCUIT_BREAKING = "circuit-breaking"
    """Security servers bound what a building block can be asked at once, and eject failing endpoints."""
    RATE_LIMIT = "rate-limit"
    """Each security server bounds how many calls pass in a time."""
    GLOBAL_RATE_LIMIT = "global-rate-limit"
    """A limit is counted across security servers by a service of its own."""
    FAULT_INJECTION = "fault-injection"
    """Aborts and delays are injected on purpose."""
    DISCOVERY = "discovery"
    """Endpoints come and go while the mesh runs."""
    FAILOVER = "failover"
    """Endpoints of lower priority take over when those of higher priority fail."""
    TRACING = "tracing"
    """Spans are exported, and calls carry a trace context and a correlation id."""
    OBSERVABILITY = "observability"
    """Access logs and metrics are kept."""
    TOPOLOGY = "topology"
    """All traffic goes through the security servers; there is no way round them."""
    INTER_PROXY = "inter-proxy"
    """A security server stands between each application, on a machine of its own, and its peers."""
    SIDECAR = "sidecar"
    """A security server stands beside each application."""
    EXTERNAL_GATEWAY = "external-gateway"
    """Callers of another trust domain enter by a gateway of their own."""
    API = "api"
    """The building block publishes OpenAPI documents and answers by them."""


@dataclass(frozen=True)
class Source:
    """Who asks for it: a GovStack id, an RFC or another standard with its section, or an Envoy page by its title."""

    id: str


@dataclass(frozen=True)
class Requirement:
    """One clause: a behaviour seen from outside, with its level in each profile it is part of."""

    id: str
    level: Level
    text: str
    sources: tuple[Source, ...]
    features: tuple[Feature, ...]
    profiles: Mapping[str, Level] = field(hash=False)
    unchecked: str | None = None
    """Why no check proves it yet; None when a check does."""

    @property
    def area(self) -> Area:
        """The chapter of the catalogue it stands in."""
        return Area(self.id.partition("-")[0])


@dataclass(frozen=True)
class Conflict:
    """Two statements of a profile's sources that cannot both be followed to the letter, and what the profile does."""

    topic: str
    contradiction: str
    ruling: str


@dataclass(frozen=True)
class Profile:
    """A named set of features, which together with the requirements' levels says what conformance means."""

    id: str
    title: str
    text: str
    mandatory: tuple[Feature, ...]
    """Never not-applicable: what needs them is judged whether the subject declares them or not."""
    optional: tuple[Feature, ...]
    """Judged when the subject declares them."""
    reasons: tuple[str, ...]
    """Why the levels are what they are."""
    conflicts: tuple[Conflict, ...] = ()
    waivers_signed_by: str | None = None
    """The role whose signature a waiver needs; None: a waiver needs none."""

    def level_of(self, requirement: Requirement) -> Level | None:
        """How strongly the requirement binds here; None when it is not part of this profile."""
        return requirement.profiles.get(self.id)


def parse_requirements(values: object, where: str) -> tuple[Requirement, ...]:
    """Read one area's file: `{area: MTLS, requirements: [{id, level, text, ...}, ...]}`.

    Args:
        values: the parsed YAML.
        where: the file's name, for error messages.

    Raises:
        SuiteFault: a field is missing, unknown or malformed, or ids are not numbered R1, R2, ... in order.

    """
    top = _Entry.of(values, where, required={"area", "requirements"})
    area = top.name("area", Area)
    found = []
    for number, item in enumerate(top.items("requirements"), start=1):
        place = f"{where}: entry {number}"
        entry = _Entry.of(
            item, place, required={"id", "level", "text", "sources", "features", "profiles"}, allowed={"unchecked"}
        )
        if entry.text("id") != f"{area}-R{number}":
            entry.refuse("id", f"is {entry.text('id')!r}; by its place it is '{area}-R{number}'")
        found.append(_requirement(entry.at(f"{where}: {area}-R{number}")))
    return tuple(found)


def parse_profile(values: object, where: str) -> Profile:
    """Read one profile's file: `{id, title, text, mandatory, optional, reasons, conflicts,
    waivers_signed_by}`.

    Args:
        values: the parsed YAML.
        where: the file's name, for error messages.

    Raises:
        SuiteFault: a field is missing, unknown or malformed, or a feature is both mandatory and optional.

    """
    entry = _Entry.of(
        values,
        where,
        required={"id", "title", "text", "mandatory", "optional", "reasons"},
        allowed={"conflicts", "waivers_signed_by"},
    )
    mandatory = entry.names("mandatory", Feature)
    optional = entry.names("optional", Feature)
    if both := [feature for feature in optional if feature in mandatory]:
        entry.refuse("optional", f"{', '.join(both)}: mandatory as well")
    identifier = entry.text("id")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", identifier):
        entry.refuse("id", f"is {identifier!r}; lower-case letters, digits and hyphens are allowed")
    return Profile(
        id=identifier,
        title=entry.text("title"),
        text=entry.text("text"),
        mandatory=mandatory,
        optional=optional,
        reasons=entry.texts("reasons"),
        conflicts=tuple(
            _conflict(item, f"{where}: conflict {number}")
            for number, item in enumerate(entry.items("conflicts"), start=1)
        )
        if "conflicts" in entry.values
        else (),
        waivers_signed_by=entry.name("waivers_signed_by", Role).value if "waivers_signed_by" in entry.values else None,
    )


def _requirement(entry: _Entry) -> Requirement:
    sources = tuple(
        Source(_Entry.of(item, f"{entry.where}: source {number}", required={"id"}).text("id"))
        for number, item in enumerate(entry.items("sources"), start=1)
    )
    weights = _Entry.of(entry.values["profiles"], f"{entry.where}: field 'profiles'")
    return Requirement(
        id=entry.text("id"),
        level=entry.name("level", Level),
        text=entry.text("text"),
        sources=sources,
        features=entry.names("features", Feature),
        profiles={profile: weights.name(profile, Level) for profile in weights.values},
        unchecked=entry.text("unchecked") if "unchecked" in entry.values else None,
    )


def _conflict(item: object, where: str) -> Conflict:
    entry = _Entry.of(item, where, required={"topic", "contradiction", "ruling"})
    return Conflict(entry.text("topic"), entry.text("contradiction"), entry.text("ruling"))


@dataclass(frozen=True)
class _Entry:
    """One mapping of a file, and where it stands."""

    values: Mapping[str, object]
    where: str

    @classmethod
    def of(
        cls, values: object, where: str, *, required: set[str] | None = None, allowed: set[str] | None = None
    ) -> _Entry:
        """Take a mapping; with `required`, these fields must be there and none but `allowed` beside them."""
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            _refuse(where, f"is {values!r:.60}; a mapping with text keys is needed")
        entry = cls(values, where)
        if required is not None:
            for key in sorted(required - values.keys()):
                entry.refuse(key, "is missing")
            for key in sorted(values.keys() - required - (allowed or set())):
                entry.refuse(key, "is unknown")
        elif not values:
            _refuse(where, "is empty")
        return entry

    def at(self, where: str) -> _Entry:
        """The same values under a better name."""
        return _Entry(self.values, where)

    def text(self, key: str) -> str:
        return self._text(key, self.values[key])

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._text(key, value) for value in self.items(key))

    def name(self, key: str, names: type[Name]) -> Name:
        return self._name(key, self.values[key], names)

    def names(self, key: str, names: type[Name]) -> tuple[Name, ...]:
        found = tuple(self._name(key, value, names) for value in self.items(key))
        if len(set(found)) != len(found):
            self.refuse(key, "names one thing twice")
        return found

    def items(self, key: str) -> Sequence[object]:
        value = self.values[key]
        if not isinstance(value, list) or not value:
            self.refuse(key, f"is {value!r:.60}; a list with at least one entry is needed")
        return value

    def refuse(self, key: str, why: str) -> NoReturn:
        _refuse(f"{self.where}: field '{key}'", why)

    def _text(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value or value != value.strip():
            self.refuse(key, f"is {value!r:.60}; text without blanks around it is needed")
        return value

    def _name(self, key: str, value: object, names: type[Name]) -> Name:
        if value not in [str(name) for name in names]:
            self.refuse(key, f"is {value!r:.60}; one of {', '.join(names)} is needed")
        return names(value)


def _refuse(where: str, why: str) -> NoReturn:
    raise SuiteFault(why, where=where, next_step="mend the entry; specs/README.md describes every field")
