"""Text from outside, made fit to be shown: nothing in it may steer a terminal, break a page or hide what it says.

Invariants: what `visible` returns holds no control character but tab and line feed, nothing that XML 1.0 forbids, no
character that turns the direction of what follows and no heap of marks upon one letter; `cut` says how much it left
out. The record keeps everything.
"""

from __future__ import annotations

import re

from conformance.report.language import current, digits, say

__all__ = ["LONGEST_TEXT", "count", "cut", "one_line", "paragraphs", "series", "visible"]

LONGEST_TEXT = 4_000
"""Characters of one text that a page or a JUnit file shows: more than a reader takes in, no burden for a browser."""

MOST_MARKS = 8
"""Marks upon one letter that some writing needs. More cannot be broken into lines, and cover what stands around."""
MARKS = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)

UNFIT = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 controls, among them NUL and the escape that terminals obey
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates: they make text read other than it is
    "\u2028\u2029"  # separators that some readers take for an end of line
    "\ud800-\udfff\ufffe\uffff"  # no characters at all
    "]"
    f"|{MARKS}(?<={MARKS}{{{MOST_MARKS + 1}}})"
)


def visible(text: str) -> str:
    """The text with every unfit character named in its place, such as `⟨U+0000⟩`; CR LF counts as a line feed."""
    return UNFIT.sub(lambda found: f"⟨U+{ord(found.group()):04X}⟩", text.replace("\r\n", "\n"))


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its first `longest` characters and how many are missing."""
    if len(text) <= longest:
        return text
    return say("more.characters", text=text[:longest], number=len(text) - longest)


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text fit for one line of a terminal or of an XML attribute."""
    return " ".join(visible(cut(text, longest)).split())


def paragraphs(text: str) -> list[str]:
    """What blank lines part, at least one."""
    return re.split(r"\n\s*\n", text.strip())


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: `1 check`, `1,200 checks`. The texts of a language know the noun by its English word;
    one that they do not know stays English."""
    key = f"nouns.{noun}"
    if key in current().texts:
        return say(key, number=number)
    return f"{digits(number)} {noun if number == 1 else plural or noun + 's'}"


def series(parts: list[str]) -> str:
    """An enumeration: `a`, `a and b`, `a, b and c`."""
    but_last = [say("series.between").join(parts[:-1])] if len(parts) > 1 else []
    return say("series.last").join([*but_last, *parts[-1:]])
