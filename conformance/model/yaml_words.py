"""What an unquoted word in YAML means: strictly (refuse what two readers take for two things) or by the 1.2 core rules.

The number grammar read strictly is JSON's, so every JSON document is also a strict one. Infinities and not-a-number are
no JSON values: they are refused strictly and stay text otherwise. Dates are text in both ways of reading.
Source: YAML 1.2.2, section 10.3 (core schema); YAML 1.1 type repository (bool, int, float, null).
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

__all__ = ["AmbiguousWord", "Word", "core_meaning", "strict_meaning"]

Word: TypeAlias = bool | int | float | str | None

LONGEST_NUMBER = 300

WORDS: dict[str, Word] = {"true": True, "false": False, "null": None, "~": None, "": None}
CORE_WORDS = WORDS | {"True": True, "TRUE": True, "False": False, "FALSE": False, "Null": None, "NULL": None}
ANY_WORD = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)

JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
CORE_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
CORE_BASED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
# What some reader of YAML 1.1 or 1.2 takes for a number: octal, binary, hexadecimal, sexagesimal, with underscores.
ANY_NUMBER = re.compile(
    r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+"
    r"|(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|\.inf|\.nan)",
    re.IGNORECASE,
)


class AmbiguousWord(ValueError):  # noqa: N818 -- it never leaves the reader of YAML, which adds the position
    """The word means different things to different readers; the message says which."""


def strict_meaning(word: str) -> Word:
    """What the word means to every reader.

    Raises:
        AmbiguousWord: readers differ, or it is a number beyond all bounds.

    """
    if word in WORDS:
        return WORDS[word]
    if JSON_NUMBER.fullmatch(word):
        return _number(word)
    if ANY_WORD.fullmatch(word):
        raise AmbiguousWord("is true, false or null to some readers of YAML and text to others")
    if ANY_NUMBER.fullmatch(word):
        raise AmbiguousWord("is a number to some readers of YAML, and text or another number to others")
    return word


def core_meaning(word: str) -> Word:
    """What the word means by the core schema of YAML 1.2.

    Raises:
        AmbiguousWord: a number beyond all bounds.

    """
    if word in CORE_WORDS:
        return CORE_WORDS[word]
    if CORE_NUMBER.fullmatch(word):
        return _number(word)
    if CORE_BASED_INTEGER.fullmatch(word):
        return int(word, 0)
    return word


def _number(word: str) -> int | float:
    if len(word) > LONGEST_NUMBER or math.isinf(float(word)):
        raise AmbiguousWord("is too large a number")
    return int(word) if word.lstrip("+-").isdigit() else float(word)
