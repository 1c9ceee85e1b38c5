"""Text in YAML or JSON becomes plain values that remember where they stood.

Invariants: no file is opened; nothing but None, bool, int, float, str, list and dict is ever made; every key is text;
the cost of a document is bounded: its size, its depth, and the number of its values with every alias written out.
There are two ways of reading:

- strict (run files): whatever two readers may take for two things is refused with its position: a duplicate key, a key
  that is not text, and plain words such as `NO`, `on`, `010` or `12:30`.
- lenient (contracts that other people wrote): the core rules of YAML 1.2, so `NO` is text; a key such as `200` is text;
  of duplicate keys the last one counts, and a remark says so.

Dates stay text in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from conformance.model.errors import UsageError
from conformance.model.yaml_words import AmbiguousWord, Word, core_meaning, strict_meaning

__all__ = ["Position", "Remark", "YamlDocument", "YamlProblem", "YamlValue", "parse_yaml", "parse_yaml_stream"]

YamlValue: TypeAlias = "Word | list[YamlValue] | dict[str, YamlValue]"

LARGEST_TEXT = 8 * 1024 * 1024
DEEPEST_NESTING = 100
MOST_VALUES = 1_000_000

MERGE_KEY = "<<"
PLAIN_TAGS = {"!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))}
# JSON writes a character beyond the basic plane as two escapes, YAML as one long one.
JSON_SURROGATE_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class YamlProblem(UsageError):  # noqa: N818 -- whose fault it is stands in the base's name
    """The text cannot be read, or not in one way only; `where` is `source:line:column`."""


@dataclass(frozen=True, order=True)
class Position:
    """A place in the source. Lines and columns count from 1, columns in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Remark:
    """Something that was read nevertheless but should be mended (lenient reading only)."""

    message: str
    position: Position


class _Place:
    """Where a value stands, and where its children do, by key or index: the place of the key and that of the value.

    There is one for every value of the document, so it is as small as can be.
    """

    __slots__ = ("children", "column", "line")

    def __init__(self, line: int, column: int, children: dict[str | int, tuple[_Place, _Place]]) -> None:
        self.line = line
        self.column = column
        self.children = children

    @property
    def position(self) -> Position:
        return Position(self.line, self.column)


NO_CHILDREN: dict[str | int, tuple[_Place, _Place]] = {}


@dataclass(frozen=True)
class YamlDocument:
    """What the text says (`value`), and where it says it."""

    value: YamlValue
    source: str
    remarks: tuple[Remark, ...]
    _root: _Place = field(repr=False, compare=False)

    def position(self, path: Sequence[str | int] = ()) -> Position:
        """Where the value at `path` begins; if the path leads nowhere, the last value on the way."""
        return self._walk(path)[1].position

    def key_position(self, path: Sequence[str | int]) -> Position:
        """Where the key (or list item) at `path` begins; if the path leads nowhere, the last key on the way."""
        return self._walk(path)[0].position

    def where(self, path: Sequence[str | int] = ()) -> str:
        """The key at `path` as `source:line:column`, the form of every message."""
        return f"{self.source}:{self.key_position(path)}"

    def _walk(self, path: Sequence[str | int]) -> tuple[_Place, _Place]:
        key = value = self._root
        for step in path:
            if step not in value.children:
                break
            key, value = value.children[step]
        return key, value


def parse_yaml(text: str, *, source: str, lenient: bool = False) -> YamlDocument:
    """Read one YAML or JSON document; an empty one is None.

    Args:
        text: the document.
        source: what messages call it, usually the file's path.
        lenient: read by the core rules of YAML 1.2 and remark on duplicate keys, instead of refusing what is ambiguous.

    Raises:
        YamlProblem: it is not YAML, not one document, too large, too deep, or (unless lenient) ambiguous.

    """
    documents = _parse(text, _Builder(source, lenient=lenient))
    return documents[0] if documents else YamlDocument(None, source, (), _Place(1, 1, NO_CHILDREN))


def parse_yaml_stream(text: str, *, source: str) -> list[YamlDocument]:
    """Read, strictly, YAML documents that follow each other, or one JSON document. The bounds count for all together.

    Raises:
        YamlProblem: it is not YAML, too large, too deep, or ambiguous.

    """
    return _parse(text, _Builder(source, lenient=False, several=True))


def _parse(text: str, builder: _Builder) -> list[YamlDocument]:
    source = builder.source
    if len(text) > LARGEST_TEXT:
        raise YamlProblem(
            f"{len(text):,} characters; {LARGEST_TEXT:,} are read at most",
            where=f"{source}:1:1",
            next_step="split the document, or check that the right file is named",
        )
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        text = JSON_SURROGATE_PAIR.sub(_long_escape, text)
    try:
        builder.read(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as problem:
        raise _not_yaml(
            source, _position(problem.problem_mark or problem.context_mark), str(problem.problem)
        ) from problem
    except yaml.reader.ReaderError as problem:
        # Its position counts the bytes of UTF-8.
        before = text.encode()[: problem.position].decode(errors="ignore")
        raise _not_yaml(source, _end_of(before), "there is a character that no text may contain") from problem
    except UnicodeEncodeError as problem:
        before = text[: problem.start]
        raise _not_yaml(source, _end_of(before), "there is half a character (a lone surrogate)") from problem
    return builder.documents


def _not_yaml(source: str, position: Position, why: str) -> YamlProblem:
    return YamlProblem(
        f"this is not YAML or JSON: {why}",
        where=f"{source}:{position}",
        next_step="mend the syntax there, or name the right file",
    )


def _long_escape(pair: re.Match[str]) -> str:
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _position(mark: Any) -> Position:  # noqa: ANN401 -- the C parser's marks are of a class that it does not name
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _place(event: yaml.Event, children: dict[str | int, tuple[_Place, _Place]]) -> _Place:
    mark: Any = event.start_mark
    return _Place(mark.line + 1, mark.column + 1, children)


def _end_of(text: str) -> Position:
    return Position(text.count("\n") + 1, len(text) - text.rfind("\n"))


@dataclass
class _Collection:
    """A list or mapping under construction."""

    value: list[YamlValue] | dict[str, YamlValue]
    place: _Place
    anchor: str | None
    values_before: int
    key: str | None = None
    key_place: _Place | None = None
    merges: bool = False
    merged: list[tuple[dict[str, YamlValue], _Place]] = field(default_factory=list)

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    def add(self, value: YamlValue, place: _Place) -> None:
        if isinstance(self.value, list):
            self.place.children[len(self.value)] = (place, place)
            self.value.append(value)
            return
        if self.merges:
            # `<<` takes one mapping or a list of them.
            sources = value if isinstance(value, list) else [value]
            places = [child for _, child in place.children.values()] if isinstance(value, list) else [place]
            self.merged += [(each, at) for each, at in zip(sources, places, strict=True) if isinstance(each, dict)]
        else:
            self.value[str(self.key)] = value
            self.place.children[str(self.key)] = (self.key_place or place, place)
        self.key = None

    def complete(self) -> YamlValue:
        for source, place in self.merged:
            for key in source:
                if key not in self.place.children:
                    self.value[key] = source[key]  # type: ignore[call-overload]  # only a mapping merges
                    self.place.children[key] = place.children[key]
        return self.value


class _Builder:
    """Builds values from the parser's events, with a stack of its own: no input can exhaust Python's."""

    def __init__(self, source: str, *, lenient: bool, several: bool = False) -> None:
        self.source = source
        self.documents: list[YamlDocument] = []
        self._lenient = lenient
        self._several = several
        self._remarks: list[Remark] = []
        self._open: list[_Collection] = []
        self._anchors: dict[str, tuple[YamlValue, _Place, int]] = {}
        self._values = 0

    def read(self, events: Iterable[yaml.Event]) -> None:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._start(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent) and self.documents and not self._several:
                raise self._problem("a second document begins here", event, "keep one document per file")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event)
        self._count(1, event)
        plain = event.implicit[0] and event.tag is None
        place = _place(event, NO_CHILDREN)
        is_key = bool(self._open) and self._open[-1].wants_key
        value = self._meaning(event) if plain and not (is_key and self._lenient) else event.value
        if event.anchor:
            self._anchors[event.anchor] = (value, place, 1)
        if is_key:
            self._key(value, place, event, plain=plain)
        else:
            self._add(value, place)

    def _key(self, key: YamlValue, place: _Place, event: yaml.ScalarEvent, *, plain: bool) -> None:
        mapping = self._open[-1]
        mapping.merges = plain and key == MERGE_KEY
        if not isinstance(key, str):
            raise self._problem(f"the key `{event.value}` is not text", event, "put the key in quotes")
        if mapping.merges and not self._lenient:
            raise self._problem("merge keys (`<<`) are not read here", event, "write the keys out")
        if key in mapping.place.children:
            message = f"the key `{_short(key)}` stands already at {mapping.place.children[key][0].position}"
            if not self._lenient:
                raise self._problem(message, event, "keep one of the two")
            self._remarks.append(Remark(f"{message}; this one counts", place.position))
        mapping.key, mapping.key_place = key, place

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._check_tag(event)
        self._check_not_key(event)
        if len(self._open) >= DEEPEST_NESTING:
            raise self._problem(f"nested more than {DEEPEST_NESTING} levels deep", event, "flatten the document")
        if event.anchor:
            # An alias inside of what it names would never end, also where an earlier anchor had the same name.
            self._anchors.pop(event.anchor, None)
        value: list[YamlValue] | dict[str, YamlValue] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Collection(value, _place(event, {}), event.anchor, self._values))
        self._count(1, event)

    def _end(self) -> None:
        collection = self._open.pop()
        value = collection.complete()
        if collection.anchor:
            self._anchors[collection.anchor] = (value, collection.place, self._values - collection.values_before)
        self._add(value, collection.place)

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._check_not_key(event)
        if event.anchor not in self._anchors:
            raise self._problem(f"`*{event.anchor}` names nothing complete before it", event, "write it out here")
        value, place, values = self._anchors[event.anchor]
        self._count(values, event)
        self._add(value, place)

    def _add(self, value: YamlValue, place: _Place) -> None:
        if self._open:
            self._open[-1].add(value, place)
        else:
            self.documents.append(YamlDocument(value, self.source, tuple(self._remarks), place))
            # What is anchored in one document is unknown in the next (YAML 1.2.2, section 3.2.2.2).
            self._anchors, self._remarks = {}, []

    def _meaning(self, event: yaml.ScalarEvent) -> Word:
        try:
            return core_meaning(event.value) if self._lenient else strict_meaning(event.value)
        except AmbiguousWord as problem:
            raise self._problem(
                f"`{_short(event.value)}` {problem}",
                event,
                "quote it if text is meant; else write true, false, null or a plain decimal number",
            ) from problem

    def _count(self, values: int, event: yaml.Event) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            raise self._problem(f"more than {MOST_VALUES:,} values, aliases written out", event, "split the document")

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in PLAIN_TAGS:
            raise self._problem(f"the tag `{_short(event.tag)}` is not read here", event, "write a plain value")

    def _check_not_key(self, event: yaml.Event) -> None:
        if self._open and self._open[-1].wants_key:
            raise self._problem("a key must be a word", event, "write the key as text, in quotes if need be")

    def _problem(self, what: str, event: yaml.Event, next_step: str) -> YamlProblem:
        return YamlProblem(what, where=f"{self.source}:{_position(event.start_mark)}", next_step=next_step)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
