"""The language in which reports speak: every sentence and word of theirs stands in `languages/`, one file each.

Invariants: the language belongs to the task or thread that chose it by `speaking`; where none was chosen it is English,
whatever the machine is set to, so that two machines write the same report. What checks, requirements and evidence say
is part of the record and stays as it is.

A file is TOML: tables and names make the keys, so `[next] mend = "..."` is `next.mend`. A text names its values in
braces. A list holds the plural forms, picked by the value `number`; `[language]` says by which rule, as in gettext
(https://www.gnu.org/software/gettext/manual/html_node/Plural-forms.html).
"""

from __future__ import annotations

import gettext
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from conformance.model.errors import UsageError

__all__ = [
    "DEFAULT_LANGUAGE",
    "RECORD_LANGUAGE",
    "Language",
    "Words",
    "current",
    "day",
    "decimal",
    "digits",
    "instant",
    "languages",
    "say",
    "speaking",
    "template",
]

FOLDER = Path(__file__).parent / "languages"
DEFAULT_LANGUAGE = "en"
RECORD_LANGUAGE = "en"
"""What checks, requirements and evidence are written in."""

Key = TypeVar("Key", bound=StrEnum)


@dataclass(frozen=True)
class Language:
    """A language, ready to be used.

    Attributes:
        code: as BCP 47 has it; the name of its file.
        texts: by key; plural forms as a tuple.
        form: which of the plural forms suits a number.
        thousands, point: what stands between groups of digits, and before decimals.
        day, instant: how dates and times are spelled, as `strftime` takes it. Times are in UTC.

    """

    code: str
    name: str
    texts: Mapping[str, str | tuple[str, ...]]
    form: Callable[[int], int]
    thousands: str
    point: str
    day: str
    instant: str


_chosen: ContextVar[str] = ContextVar("language", default=DEFAULT_LANGUAGE)


def languages() -> list[str]:
    """The codes of all languages that reports can speak, English first."""
    found = sorted(file.stem for file in FOLDER.glob("*.toml"))
    return sorted(found, key=lambda code: code != DEFAULT_LANGUAGE)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Reports made inside the block speak this language.

    Raises:
        UsageError: there is no such language.

    """
    if code not in languages():
        raise UsageError(f"reports do not speak {code!r}", next_step=f"choose from {', '.join(languages())}")
    before = _chosen.set(code)
    try:
        yield
    finally:
        _chosen.reset(before)


def current() -> Language:
    """The language that was chosen."""
    return _read(_chosen.get())


def template(key: str, number: int = 0) -> str:
    """A text with its placeholders, in the form that suits the number."""
    language = current()
    text = language.texts[key]
    return text if isinstance(text, str) else text[language.form(number)]


def say(key: str, /, **values: object) -> str:
    """A text with its values in place. Whole numbers are spelled as the language does; `number` picks the plural."""
    number = values.get("number", 0)
    spelled = {name: digits(value) if isinstance(value, int) else value for name, value in values.items()}
    return template(key, number if isinstance(number, int) else 0).format_map(spelled)


def digits(number: int) -> str:
    """A whole number, its digits in groups: `1,200`."""
    return f"{number:,}".replace(",", current().thousands)


def decimal(number: float, places: int) -> str:
    """A number with decimals, rounded: `2.1`."""
    return f"{number:.{places}f}".replace(".", current().point)


def day(text: str) -> str:
    """A day, given as `2027-01-31`. What is no day stays as it is."""
    try:
        return f"{date.fromisoformat(text):{current().day}}"
    except ValueError:
        return text


def instant(text: str) -> str:
    """An RFC 3339 time, to the second, in UTC."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):{current().instant}}"


class Words(Mapping[Key, str]):
    """What the members of an enumeration are called: looked up like a dictionary, in the language of the moment."""

    def __init__(self, table: str, members: type[Key]) -> None:
        self._table = table
        self._members = members

    def __getitem__(self, member: Key) -> str:
        return say(f"{self._table}.{self._members(member).value}")

    def __iter__(self) -> Iterator[Key]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


@cache
def _read(code: str) -> Language:
    content = tomllib.loads((FOLDER / f"{code}.toml").read_text("utf-8"))
    about = content.pop("language")
    return Language(
        code=code,
        name=about["name"],
        texts=dict(_flat(content)),
        form=gettext.c2py(about["plural"]),
        thousands=about["thousands"],
        point=about["point"],
        day=about["day"],
        instant=about["instant"],
    )


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str | tuple[str, ...]]]:
    for name, value in table.items():
        key = f"{above}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, tuple(value) if isinstance(value, list) else value
