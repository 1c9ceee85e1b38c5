r"""A short text that a pattern matches, for the plain patterns that contracts really have.

It knows literals, escapes, character classes, groups, alternatives, anchors and repetitions: `^[A-Z]{2}-\d{4,6}$`.
What is beyond that (look-around, back references, inline flags) gives no text; the caller checks the text afterwards.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

__all__ = ["text_for_pattern"]

LONGEST_TEXT = 4096
DEEPEST_GROUP = 50
CLASSES = {"d": "5", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
ORDINARY = "a5A-_ .:/@é"
REPETITION = re.compile(r"(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})[?+]?")


class _Beyond(Exception):  # noqa: N818 -- it never leaves this module
    """The pattern has something that this module does not know."""


def text_for_pattern(pattern: str, shortest: int = 0) -> str | None:
    """A text that the pattern matches, with `shortest` characters at least if a repetition allows; None if unknown."""
    # The first repetition that has no upper bound, or a high one, may be stretched to the length that is asked for.
    for stretch in (0, shortest):
        try:
            reader = _Reader(pattern, stretch)
            text = reader.alternatives()
        except (_Beyond, IndexError):
            return None
        if reader.rest or len(text) > LONGEST_TEXT:
            return None
        if len(text) >= shortest:
            return text
    return text


class _Reader:
    def __init__(self, pattern: str, stretch: int) -> None:
        self.rest = pattern
        self._stretch = stretch
        self._depth = 0

    def alternatives(self) -> str:
        """The first alternative; the others are read over."""
        self._depth += 1
        if self._depth > DEEPEST_GROUP:
            raise _Beyond
        first = self._sequence()
        while self.rest.startswith("|"):
            self.rest = self.rest[1:]
            self._sequence()
        self._depth -= 1
        return first

    def _sequence(self) -> str:
        text = ""
        while self.rest and self.rest[0] not in "|)":
            piece = self._atom()
            text += piece * self._times(piece)
            if len(text) > LONGEST_TEXT:
                raise _Beyond
        return text

    def _times(self, piece: str) -> int:
        match = REPETITION.match(self.rest)
        if not match:
            return 1
        self.rest = self.rest[match.end() :]
        if match[1]:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[match[1]]
        else:
            least = int(match[2])
            most = least if not match[3] else int(match[4]) if match[4] else None
        # An optional part is left out, unless it is what can bring the length.
        wanted = max(least, -(-self._stretch // len(piece))) if piece else least
        return wanted if most is None else max(least, min(wanted, most))

    def _next(self) -> str:
        character = self.rest[0]
        self.rest = self.rest[1:]
        return character

    def _atom(self) -> str:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character in "^$":
            return ""
        if character in "*+?":
            raise _Beyond
        return "a" if character == "." else character

    def _group(self) -> str:
        if self.rest.startswith("?"):
            if not self.rest.startswith("?:"):
                raise _Beyond
            self.rest = self.rest[2:]
        text = self.alternatives()
        if self._next() != ")":
            raise _Beyond
        return text

    def _escape(self) -> str:
        character = self._next()
        if character in "bB":
            return ""
        if character in "xu":
            digits = {"x": 2, "u": 4}[character]
            code, self.rest = self.rest[:digits], self.rest[digits:]
            try:
                return chr(int(code, 16))
            except ValueError:
                raise _Beyond from None
        if character in CLASSES:
            return CLASSES[character]
        if character.isalnum() and character not in CONTROLS:
            raise _Beyond
        return CONTROLS.get(character, character)

    def _class(self) -> str:
        end = next(self._ends_of_class())
        source, self.rest = f"[{self.rest[:end]}]", self.rest[end + 1 :]
        try:
            # Python warns of what a later version may take for sets in sets; in a contract it is an ordinary character.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                allowed = re.compile(source)
        except re.error:
            raise _Beyond from None
        # Letters and digits before punctuation, and what is ordinary before what is not.
        candidates = [*ORDINARY, *map(chr, range(0x21, 0x7F)), *map(chr, range(0x80, 0x250))]
        found: str | None = next((each for each in candidates if allowed.fullmatch(each)), None)
        if found is None:
            raise _Beyond
        return found

    def _ends_of_class(self) -> Iterator[int]:
        # A bracket right after the opening one, or after its `^`, is an ordinary character.
        at = 1 if self.rest.startswith("^") else 0
        at += self.rest.startswith("]", at)
        while at < len(self.rest):
            if self.rest[at] == "]":
                yield at
            at += 2 if self.rest[at] == "\\" else 1
        raise _Beyond
