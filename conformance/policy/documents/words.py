"""The small words of policy documents: names, paths, operations, identifiers; how they are written and what is refused.

Invariants: each word has one way of being written; a path here is what a proxy compares after it has normalised a
call's path, so one that a proxy would change (dot segments, `//`) can never match and is refused.
Sources: RFC 1123 section 2.1 (labels), RFC 3986 section 3.3 (paths), RFC 9110 section 5.6.2 (tokens), SPIFFE-ID 2.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from conformance.model.policies import MemberId
from conformance.model.policy import Operation, PathMatch, PathMatchKind

__all__ = [
    "MOST_ITEMS",
    "MOST_NAMES",
    "MOST_PATHS",
    "BasePath",
    "Caller",
    "FieldName",
    "Group",
    "HeaderName",
    "HeaderValue",
    "Host",
    "Identifier",
    "Label",
    "Match",
    "MemberIdText",
    "Method",
    "OperationText",
    "OptionalIdentifier",
    "Path",
    "Percent",
    "Revision",
    "Seconds",
    "ServerName",
    "ServiceLabel",
    "SpiffeId",
    "Text",
    "TrustDomainName",
    "distinct",
    "trust_domain_of",
]

MOST_ITEMS: Final = 1_000
"""Items of a list, such as rules or endpoints of one service."""
MOST_NAMES: Final = 10_000
"""Items of a list that grows with the mesh: the services that a member calls, the identities of another domain."""

MOST_PATHS: Final = 100
"""Paths of one rule, since each is held against each of its operations."""

T = TypeVar("T", bound=Hashable)

LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}"
CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
EXPRESSION = r"\{[^{}/\s]+\}"
IDENTIFIER = r"[A-Za-z0-9._-]{1,255}"
DOMAIN = r"[a-z0-9._-]{1,255}"
SPIFFE = rf"spiffe://{DOMAIN}(?:/[A-Za-z0-9._-]+)+"
LONGEST_PATH = 4096
LONGEST_SPIFFE_ID = 2048
RESERVED_SERVICE = "r1"
STANDARD_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
NEVER_PASS = ("TRACE", "CONNECT")


def _like(
    pattern: str, what: str, *, longest: int = 4096, also: Callable[[str], str | None] = lambda _: None
) -> tuple[AfterValidator, WithJsonSchema]:
    """Text of a form: the check, with a reason that people understand, and the pattern for editors."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if len(text) > longest:
            raise ValueError(f"at most {longest} characters")
        if not compiled.fullmatch(text):
            raise ValueError(what)
        if fault := also(text):
            raise ValueError(fault)
        return text

    return AfterValidator(check), WithJsonSchema(
        {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": longest}
    )


def _dot_segments(path: str) -> str | None:
    for segment in path.split("/"):
        # `%2e` is a dot, and what follows `;` is a parameter of the segment.
        if segment.replace("%2e", ".").replace("%2E", ".").split(";")[0] in {".", ".."}:
            return "a path has no dot segments"
    if re.search(r"%2f|%5c", path, re.IGNORECASE):
        return "a path has no encoded slashes: servers differ in what they take them for"
    return None


def _method(text: str) -> str | None:
    if text in NEVER_PASS:
        return f"{text} never passes the mesh"
    if text not in STANDARD_METHODS and text.upper() in STANDARD_METHODS:
        return f"methods are compared letter by letter: write {text.upper()}"
    return None


def _host(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "an IP address is needed"
    return "an IP address without a zone is needed" if "%" in str(address) else None


def _spiffe(text: str) -> str | None:
    if any(segment in {".", ".."} for segment in text.split("/")[3:]):
        return "a SPIFFE id has no dot segments"
    return None


def _service(text: str) -> str | None:
    if text == RESERVED_SERVICE:
        return f"`{RESERVED_SERVICE}` begins the path of X-Road addresses, so no service can have that name"
    return None


def distinct(items: tuple[T, ...]) -> tuple[T, ...]:
    """Refuses what is given twice."""
    places: dict[T, int] = {}
    for place, item in enumerate(items):
        if places.setdefault(item, place) != place:
            raise ValueError(f"item {place} says the same as item {places[item]}; they count from 0")
    return items


PATH = rf"/(?:{CHARACTER}+(?:/{CHARACTER}+)*/?)?"
TEMPLATE = rf"/(?:(?:{CHARACTER}|{EXPRESSION})+(?:/(?:{CHARACTER}|{EXPRESSION})+)*/?)?"
LABEL_WANTED = "a DNS label is needed: lower-case letters, digits and dashes, 63 at most, no dash at either end"
IDENTIFIER_WANTED = "letters, digits, `.`, `_` and `-` are needed"
PATH_WANTED = "a path such as /v1/births is needed: it begins with `/` and has no query, no `//`, no spaces"
SPIFFE_WANTED = "a SPIFFE id such as spiffe://mesh.test/security-server/citizen-id is needed"

Label = Annotated[str, *_like(LABEL, LABEL_WANTED, longest=63)]
ServiceLabel = Annotated[str, *_like(LABEL, LABEL_WANTED, longest=63, also=_service)]
Group = Annotated[str, *_like(f"(?:{LABEL})?", LABEL_WANTED, longest=63)]
Revision = Annotated[str, *_like(r"[A-Za-z0-9._-]+", IDENTIFIER_WANTED, longest=64)]
Identifier = Annotated[str, *_like(IDENTIFIER, IDENTIFIER_WANTED, longest=255, also=_dot_segments)]
OptionalIdentifier = Annotated[str, *_like(f"(?:{IDENTIFIER})?", IDENTIFIER_WANTED, longest=255, also=_dot_segments)]
Text = Annotated[str, Field(min_length=1)]
Method = Annotated[str, *_like(WORD, "a method such as GET is needed", also=_method)]
Path = Annotated[str, *_like(PATH, PATH_WANTED, longest=LONGEST_PATH, also=_dot_segments)]
BasePath = Annotated[
    str,
    *_like(
        rf"(?:(?:/{CHARACTER}+)+)?",
        "a base path such as /api is needed: it begins with `/`, does not end with it, and has no query",
        longest=LONGEST_PATH,
        also=_dot_segments,
    ),
]
HeaderName = Annotated[str, *_like(rf":authority|{WORD}", "the name of a header, or `:authority`, is needed")]
FieldName = Annotated[str, *_like(WORD, "the name of a header is needed", longest=256)]
HeaderValue = Annotated[
    str, *_like(r"[!-~](?:[ -~]*[!-~])?", "visible ASCII characters without spaces at the ends are needed")
]
Host = Annotated[str, *_like(r"[0-9A-Fa-f.:]+", "an IP address is needed", longest=45, also=_host)]
ServerName = Annotated[
    str, *_like(rf"(?:{LABEL}(?:\.{LABEL})*)?", "the name in a certificate, such as app.test, is needed", longest=253)
]
TrustDomainName = Annotated[
    str, *_like(DOMAIN, "a trust domain such as partner.test is needed: lower-case letters, digits, `.`, `_`, `-`")
]
SpiffeId = Annotated[str, *_like(SPIFFE, SPIFFE_WANTED, longest=LONGEST_SPIFFE_ID, also=_spiffe)]
Caller = Annotated[
    str,
    *_like(
        rf"{LABEL}|{SPIFFE}",
        f"the name of a member is needed, or {SPIFFE_WANTED}",
        longest=LONGEST_SPIFFE_ID,
        also=_spiffe,
    ),
]
Seconds = Annotated[float, Field(ge=0.001, le=86_400)]
Percent = Annotated[float, Field(ge=0, le=100)]


def trust_domain_of(identity: str) -> str:
    """The trust domain in a SPIFFE id; empty if it is none."""
    return identity.split("/")[2] if identity.startswith("spiffe://") else ""


_OPERATION = re.compile(rf"({WORD}) ({TEMPLATE})")


def _read_operation(text: object) -> Operation:
    found = _OPERATION.fullmatch(text) if isinstance(text, str) and len(text) <= LONGEST_PATH else None
    if not found:
        raise ValueError("an operation such as `POST /v1/births/{birthId}` is needed: method, one space, path template")
    method, path = found.groups()
    if fault := (None if method in NEVER_PASS else _method(method)) or _dot_segments(path):
        raise ValueError(fault)
    return Operation(method, path)


def _read_match(value: object) -> PathMatch:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("either {prefix: /v1/births} or {exact: /v1/births} is needed")
    ((kind, path),) = value.items()
    if kind not in set(PathMatchKind):
        raise ValueError(f"`{kind!s:.40}` is no way to compare a path; prefix and exact are")
    if not isinstance(path, str) or len(path) > LONGEST_PATH or not re.fullmatch(PATH, path):
        raise ValueError(PATH_WANTED)
    if fault := _dot_segments(path):
        raise ValueError(fault)
    return PathMatch(PathMatchKind(kind), path)


def _read_member_id(text: object) -> MemberId:
    parts = text.split("/") if isinstance(text, str) else []
    if not (len(parts) in {3, 4} and all(re.fullmatch(IDENTIFIER, part) and part not in {".", ".."} for part in parts)):
        raise ValueError(
            "an X-Road identifier such as MESH/GOV/1001/citizen-id is needed: instance, class, code, subsystem"
        )
    return MemberId(*parts)


def _choice(kinds: Sequence[PathMatchKind]) -> list[dict[str, Any]]:
    path = {"type": "string", "pattern": f"^{PATH}$", "maxLength": LONGEST_PATH}
    return [
        {"type": "object", "properties": {kind.value: path}, "required": [kind.value], "additionalProperties": False}
        for kind in kinds
    ]


OperationText = Annotated[
    Operation,
    PlainValidator(_read_operation),
    WithJsonSchema({"type": "string", "pattern": f"^{WORD} {TEMPLATE}$", "maxLength": LONGEST_PATH}),
]
Match = Annotated[PathMatch, PlainValidator(_read_match), WithJsonSchema({"oneOf": _choice(list(PathMatchKind))})]
MemberIdText = Annotated[
    MemberId,
    PlainValidator(_read_member_id),
    WithJsonSchema({"type": "string", "pattern": f"^{IDENTIFIER}(?:/{IDENTIFIER}){{2,3}}$"}),
]
