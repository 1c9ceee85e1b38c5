"""Reads a report page the way a strict reader would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.words)


@dataclass
class Page(HTMLParser):
    """Elements in order, and whether every element was closed where it had to be."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, page: bytes) -> Page:
        parsed = cls()
        parsed.feed(page.decode())
        parsed.close()
        assert parsed.open == []
        return parsed

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute stands twice in {tag}"
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"{tag} closes {self.open[-1].tag}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.words.append(data)

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.elements if element.tag in tags]

    def values(self, attribute: str) -> list[str]:
        return [value for element in self.elements if (value := element.attributes.get(attribute)) is not None]

    def by_id(self, identifier: str) -> Element:
        return next(element for element in self.elements if element.attributes.get("id") == identifier)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """The page without its words."""
        return [(element.tag, tuple(element.attributes)) for element in self.elements]
