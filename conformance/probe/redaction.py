"""What must not enter a record: credentials, whoever's they are, and what the run file names by its form.

Invariants: everything that is to go is looked for in the text as it was, so that nothing hides behind something else
that was taken out before; a placeholder stands in its place; nothing else changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from conformance.system.scrub import private_keys

__all__ = ["PLACEHOLDER", "Redaction"]

PLACEHOLDER = "(not recorded)"
SHORTEST_PART = 8
"""Shorter parts of a value, such as its scheme `Bearer`, are no secrets and too likely to be met by chance."""
CREDENTIAL_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"})

TOKENS = (
    # A scheme and its credentials (RFC 9110 section 11.4). Words of a sentence that follow a scheme have no digits.
    re.compile(
        r"\b(?:Bearer|Basic|DPoP|Negotiate)\s+"
        r"(?P<secret>(?=[A-Za-z]*[0-9\-._~+/=]|[A-Za-z]{20})[A-Za-z0-9\-._~+/]{8,}=*)",
        re.IGNORECASE,
    ),
    # A JSON Web Token, wherever it stands.
    re.compile(r"\b(?P<secret>eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3})"),
)
HEADERS_IN_TEXT = re.compile(
    rf"\b(?:{'|'.join(sorted(CREDENTIAL_HEADERS, reverse=True))})[\"']?[ \t]*[:=][ \t]*[\"']?(?P<secret>[^\r\n\"']+)",
    re.IGNORECASE,
)
Span = tuple[int, int]


class Redaction:
    """Replaces secrets wherever they stand in an observation: in requests, in answers that echo them, in messages.

    Args:
        header_values: those that the run file sends along, and other values that are secret as they are.
        patterns: regular expressions of what else must go.

    """

    def __init__(self, header_values: Iterable[str], patterns: Iterable[str] = ()) -> None:
        found = set()
        for value in header_values:
            for part in (value, *(part for part in value.split() if len(part) >= SHORTEST_PART)):
                found |= {part, json.dumps(part)[1:-1], quote(part, safe="")}
        self._secrets = sorted(filter(None, found))
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        """A text without them, nor any `Cookie: ...`, `Authorization: ...` and the like."""
        headers = [found.span("secret") for found in HEADERS_IN_TEXT.finditer(text)]
        return _without(text, [*self._spans(text), *headers])

    def document(self, text: str) -> str:
        """A document without them. What it says about headers in general may stay."""
        return _without(text, self._spans(text))

    def observation(self, observed: Any) -> Any:  # noqa: ANN401 -- any value of JSON
        """An observation without them. The value under the name of a header that carries credentials goes as a whole,
        as does a number that a pattern fits.
        """
        if isinstance(observed, str):
            return self.text(observed)
        if isinstance(observed, Mapping):
            return self._mapping(observed)
        if isinstance(observed, list | tuple):
            match observed:
                case [str(name), str()] if name.lower() in CREDENTIAL_HEADERS:
                    return [name, PLACEHOLDER]
            return [self.observation(each) for each in observed]
        if isinstance(observed, int | float) and not isinstance(observed, bool) and self._fits(str(observed)):
            return PLACEHOLDER
        return observed

    def _mapping(self, observed: Mapping[Any, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in observed.items():
            name = self.text(str(key))
            while name in kept:  # two names that were secret
                name += "'"
            credential = str(key).lower() in CREDENTIAL_HEADERS and _is_text(value)
            kept[name] = PLACEHOLDER if credential else self.observation(value)
        return kept

    def _fits(self, text: str) -> bool:
        return any(pattern.search(text) for pattern in self._patterns)

    def _spans(self, text: str) -> Iterator[Span]:
        yield from private_keys(text)
        for form in TOKENS:
            yield from (found.span("secret") for found in form.finditer(text))
        for secret in self._secrets:
            start = text.find(secret)
            while start >= 0:
                yield start, start + len(secret)
                start = text.find(secret, start + 1)
        for pattern in self._patterns:
            yield from (found.span() for found in pattern.finditer(text) if found.group())


def _without(text: str, spans: Iterable[Span]) -> str:
    """The text with a placeholder in the place of each span; spans that touch or overlap are one."""
    parts, end, open_until = [], 0, -1
    for start, stop in sorted(spans):
        if start > open_until:
            parts += [text[end:start], PLACEHOLDER]
            open_until = end = stop
        elif stop > open_until:
            open_until = end = stop
    return "".join([*parts, text[end:]])


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value))
