"""The pages that a reader opens in a browser. Add yours to `pages`, and it is held to all that holds for a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from report import records

from conformance.model.record import RunRecord
from conformance.report import html
from conformance.report.language import languages, speaking
from conformance.report.material import Material

WIDTHS = (360, 800, 1440)


@dataclass(frozen=True)
class BuiltPage:
    """A page: what it is called in tests, its language, and what makes its bytes."""

    name: str
    language: str
    build: Callable[[], bytes]

    def written(self, folder: Path) -> Path:
        """The page as a file, made if it is not there."""
        file = folder / f"{self.name}.html"
        if not file.exists():
            file.write_bytes(self.build())
        return file


def pages() -> list[BuiltPage]:
    """Every page of this project."""
    return report_pages()


def report_pages() -> list[BuiltPage]:
    """report.html of every hand-made record, in every language."""
    made = {
        "conformant": records.conformant,
        "not-conformant": records.not_conformant,
        "interrupted": records.interrupted,
    }
    return [
        BuiltPage(f"{name}-{language}", language, report_page(make, language))
        for name, make in made.items()
        for language in languages()
    ]


def report_page(make: Callable[[], RunRecord], language: str) -> Callable[[], bytes]:
    """What makes the report of a record in a language."""

    def build() -> bytes:
        with speaking(language):
            return html.render(Material(make().to_json()))

    return build
