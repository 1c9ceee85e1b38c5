"""Reads the project's Markdown: headings with their anchors, blocks of code, tables, links."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
NAMES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "specs/README.md",
    "fixtures/building_blocks/README.md",
    "fixtures/kubernetes/README.md",
)

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)$")
HEADING = re.compile(r"^(?P<marks>#+) (?P<text>.+)$")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CODE_SPAN = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block of code."""

    document: str
    line: int
    language: str
    text: str

    @property
    def title(self) -> str:
        """The file's name, where the first line is a comment that gives one."""
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ") if re.fullmatch(r"# \S+\.\w+", first) else ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    name: str
    text: str

    @property
    def prose(self) -> list[str]:
        """The lines outside of blocks of code; those inside are empty."""
        lines, inside = [], False
        for line in self.text.splitlines():
            fence = FENCE.match(line)
            lines.append("" if inside or fence else line)
            inside = inside != bool(fence)
        return lines

    @property
    def headings(self) -> dict[str, str]:
        """Headings by the anchor that a repository's web page gives them."""
        found = [match["text"] for line in self.prose if (match := HEADING.match(line))]
        anchors: dict[str, str] = {}
        for text in found:
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            assert anchor not in anchors, f"{self.name}: two headings have the anchor #{anchor}"
            anchors[anchor] = text
        return anchors

    @property
    def links(self) -> list[str]:
        """The targets of all links and pictures."""
        return [match["target"] for line in self.prose for match in LINK.finditer(line)]

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code, with the indentation of a list taken away."""
        return list(self._blocks())

    def section(self, heading: str) -> list[str]:
        """The prose below a heading, up to the next one of the same or a higher level."""
        lines = iter(self.prose)
        level = next(
            len(match["marks"]) for line in lines if (match := HEADING.match(line)) and match["text"] == heading
        )
        found = []
        for line in lines:
            match = HEADING.match(line)
            if match and len(match["marks"]) <= level:
                break
            found.append(line)
        return found

    def tables(self, heading: str) -> list[list[list[str]]]:
        """The tables of a section, each as rows of cells, the head first."""
        tables: list[list[list[str]]] = []
        before = ""
        for line in self.section(heading):
            if line.startswith("|"):
                if not before.startswith("|"):
                    tables.append([])
                if not line.startswith("|-"):
                    tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
            before = line
        return tables

    def table(self, heading: str, head: str) -> list[list[str]]:
        """The rows of the table of a section whose first column has this head."""
        return next(rows for first, *rows in self.tables(heading) if first[0] == head)

    def _blocks(self) -> Iterator[Block]:
        opened: tuple[int, str] | None = None
        body: list[str] = []
        for number, line in enumerate(self.text.splitlines(), start=1):
            fence = FENCE.match(line)
            if opened is None and fence:
                opened, body = (number, fence["language"]), []
            elif opened is not None and fence:
                yield Block(self.name, *opened, textwrap.dedent("\n".join(body)) + "\n")
                opened = None
            elif opened is not None:
                body.append(line)
        assert opened is None, f"{self.name}: a block of code is never closed"


@cache
def document(name: str) -> Document:
    """A document by its path in the repository."""
    return Document(name, (REPOSITORY / name).read_text("utf-8"))


def documents() -> list[Document]:
    """All documents."""
    return [document(name) for name in NAMES]


def blocks(*languages: str) -> list[Block]:
    """All blocks of code in these languages."""
    return [block for each in documents() for block in each.blocks if block.language in languages]


def block(title: str) -> Block:
    """The block of code that begins with this file's name."""
    return next(each for each in blocks("python", "yaml") if each.title == title)


def code(cell: str) -> str:
    """What stands in backquotes in a cell."""
    spans = CODE_SPAN.findall(cell)
    assert len(spans) == 1, f"one word in backquotes is expected: {cell}"
    return str(spans[0])
