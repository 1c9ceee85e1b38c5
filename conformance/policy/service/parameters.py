"""Parameters of a call: numbers and words of the query, entity tags, and the author's note.

An entity tag is the version in which a policy was last changed, in quotation marks: `"7"`. Tags are compared strongly
(RFC 9110, section 8.8.3.2). Parameters of the query that nobody knows are ignored: a proxy may add its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.service.edge import Call
from conformance.policy.service.problems import Flaw, Problem, Reason

__all__ = [
    "LARGEST_VERSION",
    "LONGEST_WAIT_S",
    "NOTE_HEADER",
    "Conditions",
    "conditions",
    "entity_tag",
    "note",
    "number",
    "policy_key",
    "required_number",
    "seconds",
    "tags_known",
    "version_in_path",
    "word",
]

NOTE_HEADER = "X-Change-Note"
LONGEST_NOTE = 500
LARGEST_VERSION = 2**53 - 1
LONGEST_WAIT_S = 60.0
NUMBER = re.compile(r"[0-9]{1,16}")
SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")
TAG = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*')
STRONG_VERSION = re.compile(r'"([1-9][0-9]{0,15})"')


@dataclass(frozen=True)
class Conditions:
    """What must be true of the document before it is changed.

    Attributes:
        match: the versions of `If-Match`; None: there is no such header.
        exists: `If-Match: *`.
        absent: `If-None-Match: *`.

    """

    match: frozenset[int] | None = None
    exists: bool = False
    absent: bool = False


def policy_key(call: Call) -> PolicyKey:
    """The kind and name that the path says.

    Raises:
        Problem: 404, for a kind that there is not.

    """
    return Kind(_one_of([*Kind], call.path["kind"])), call.path["name"]


def version_in_path(call: Call) -> int:
    """The version that the path says; 404 for what no version can be."""
    text = call.path["version"]
    if not NUMBER.fullmatch(text) or int(text) > LARGEST_VERSION:
        raise Problem(Reason.NOT_FOUND, "there is no such version")
    return int(text)


def number(call: Call, name: str, *, least: int, most: int = LARGEST_VERSION) -> int | None:
    """A whole number of the query; None if it is not there."""
    text = word(call, name)
    if text is None:
        return None
    if not NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise _invalid(name, f"must be a whole number from {least} to {most}")
    return int(text)


def required_number(call: Call, name: str, *, least: int) -> int:
    """A whole number of the query that must be there."""
    value = number(call, name, least=least)
    if value is None:
        raise _invalid(name, "is required")
    return value


def seconds(call: Call, name: str, *, most: float) -> float:
    """How long to wait, in seconds; 0 if it is not there."""
    text = word(call, name)
    if text is None:
        return 0.0
    if not SECONDS.fullmatch(text) or float(text) > most:
        raise _invalid(name, f"must be a number of seconds from 0 to {most:g}, with at most three decimals")
    return float(text)


def word(call: Call, name: str, *, one_of: Sequence[str] = ()) -> str | None:
    """A text of the query; None if it is not there."""
    values = call.request.query_params.getlist(name)
    if len(values) > 1:
        raise _invalid(name, "must be sent once")
    if not values:
        return None
    if one_of and values[0] not in one_of:
        raise _invalid(name, f"must be one of {', '.join(one_of)}")
    return values[0]


def entity_tag(changed_in: int) -> str:
    """The entity tag of a document."""
    return f'"{changed_in}"'


def conditions(call: Call) -> Conditions:
    """The conditions of a change.

    Raises:
        Problem: 422, for a header that is none of RFC 9110, or for both at once.

    """
    match, none_match = _header(call, "If-Match"), _header(call, "If-None-Match")
    if none_match is not None and (match is not None or none_match.strip() != "*"):
        raise _invalid("If-None-Match", "must be `*` and alone: the policy must not be there yet")
    if match is None:
        return Conditions(absent=none_match is not None)
    if match.strip() == "*":
        return Conditions(exists=True)
    return Conditions(match=_versions("If-Match", match))


def tags_known(call: Call) -> frozenset[int]:
    """The versions that a reader has already (`If-None-Match`); a header that cannot be read counts for nothing."""
    text = _header(call, "If-None-Match")
    if text is None:
        return frozenset()
    return _versions("If-None-Match", text) if text.strip() != "*" else frozenset()


def note(call: Call) -> str:
    """The author's note, from its header.

    Raises:
        Problem: 422, for more than one, one that is too long, or one that is not a line of text in UTF-8.

    """
    text = _header(call, NOTE_HEADER)
    return "" if text is None else checked_note(text.encode("latin-1"))


def checked_note(raw: bytes) -> str:
    """A note, if it is one."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(NOTE_HEADER, "must be UTF-8") from None
    if len(text) > LONGEST_NOTE or not text.isprintable():
        raise _invalid(NOTE_HEADER, f"must be one line of at most {LONGEST_NOTE} printable characters")
    return text


def _versions(name: str, text: str) -> frozenset[int]:
    parts = text.split(",")
    if not all(TAG.fullmatch(part) for part in parts):
        raise _invalid(name, 'must be `*`, or entity tags such as "7", with commas between them')
    found = (STRONG_VERSION.fullmatch(part.strip()) for part in parts)
    return frozenset(int(tag[1]) for tag in found if tag)


def _header(call: Call, name: str) -> str | None:
    values = call.request.headers.getlist(name)
    if len(values) > 1:
        raise _invalid(name, "must be sent once")
    return values[0] if values else None


def _one_of(values: Sequence[str], text: str) -> str:
    if text not in values:
        raise Problem(Reason.NOT_FOUND, f"there is no such kind of policy; there are {', '.join(values)}")
    return text


def _invalid(name: str, reason: str) -> Problem:
    return Problem(Reason.INVALID, f"the parameter `{name}` is not valid", [Flaw(reason, parameter=name)])
