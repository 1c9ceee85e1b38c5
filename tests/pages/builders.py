"""The pages that a reader opens in a browser. Add yours to `pages`, and it is held to all that holds for a page."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from report import records
from report.registries import small_site

from conformance.model.record import RunRecord
from conformance.report import html
from conformance.report.comparison import compare
from conformance.report.comparison_page import render as comparison_page_of
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
    return [*report_pages(), *comparison_pages(), *registry_pages()]


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


def comparison_pages() -> list[BuiltPage]:
    """What `meshmark compare` and a registry show of two runs, in every language."""
    return [BuiltPage(f"comparison-{language}", language, comparison_page(language)) for language in languages()]


def comparison_page(language: str) -> Callable[[], bytes]:
    """What makes a comparison in a language."""

    def build() -> bytes:
        before, after = (Material(make().to_json()) for make in (records.conformant, records.not_conformant))
        with speaking(language):
            return comparison_page_of(compare(before, after))

    return build


REGISTRY_PAGES = {
    "index": "index.html",
    "area": "areas/MTLS.html",
    "profile": "profiles/*.html",
    "subject": "subjects/birth-registry-*.html",
    "bundle": "bundles/*/index.html",
}


def registry_pages() -> list[BuiltPage]:
    """A page of every kind that a registry has, in every language."""
    return [
        BuiltPage(f"registry-{kind}-{language}", language, registry_page(place, language))
        for kind, place in REGISTRY_PAGES.items()
        for language in languages()
    ]


def registry_page(place: str, language: str) -> Callable[[], bytes]:
    """What makes a page of a small registry with a certificate, in a language."""

    def build() -> bytes:
        pages = [file.read_bytes() for file in sorted(_site(language).glob(place))]
        # Of several of a kind the one that has most to show.
        return max(pages, key=len)

    return build


@cache
def _site(language: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="registry-"))
    atexit.register(shutil.rmtree, folder)
    with speaking(language):
        return small_site(folder)
