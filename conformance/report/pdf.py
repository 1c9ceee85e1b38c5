"""`report.pdf`: the report for paper and archives, tagged for assistive technology (PDF/UA-1, ISO 14289-1).

Invariants: nothing is loaded from anywhere; the same record gives the same bytes, as long as WeasyPrint, its libraries
and the fonts are the same; all that failed is told, up to `MOST_TOLD` checks; a character that no font has is named by
its code point, for PDF/UA wants no empty boxes. Evidence stays in the record.
"""

from __future__ import annotations

import json
from string import Formatter
from typing import Any, NoReturn

from markupsafe import Markup

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.report.findings import RecordJson, attention
from conformance.report.html import page_context
from conformance.report.language import template
from conformance.report.material import Material
from conformance.report.templating import page_environment

try:
    import weasyprint
    from weasyprint.urls import FatalURLFetchingError
except ModuleNotFoundError as problem:
    raise UsageError(
        "the format pdf needs WeasyPrint, which is not installed",
        next_step="install meshmark with its extra pdf: pip install 'meshmark[pdf]'",
    ) from problem
except OSError as problem:
    raise EnvironmentFault(
        "the format pdf needs libraries of the system that are not there",
        detail=str(problem),
        next_step="install Pango and a font; on Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
        "libharfbuzz-subset0 fonts-dejavu-core",
    ) from problem

__all__ = ["MOST_LISTED", "MOST_TOLD", "render"]

MOST_TOLD = 25
"""Checks whose story is told; more are counted. Nobody reads a hundred on paper; `report.html` tells them all."""
MOST_LISTED = 120
"""Rows of the list of all checks; more are counted, and what needs attention comes first then."""


def render(material: Material) -> bytes:
    """The record as a PDF."""
    told = attention(material.record)
    context = page_context(material) | {
        "told_checks": told[:MOST_TOLD],
        "left": len(told) - MOST_TOLD,
        "listed": _listed(material.record["results"], told),
        "unlisted": len(material.record["results"]) - MOST_LISTED,
        "page_of": Markup(_page_of()),  # noqa: S704 -- quoted for CSS, from the languages' files alone
    }
    page = page_environment().get_template("pdf.html.j2").render(context)
    identifier = bytes.fromhex(material.digest)[:16]
    written, missing = _drawn(page, identifier)
    if missing:
        head, body, text = page.partition("<body")
        written, _ = _drawn(head + body + text.translate({each: f"[U+{each:04X}]" for each in missing}), identifier)
    return written


def _drawn(page: str, identifier: bytes) -> tuple[bytes, set[int]]:
    """The document, and the characters beyond ASCII that it wants and no font has."""
    document = weasyprint.HTML(string=page, url_fetcher=_refuse).render(pdf_variant="pdf/ua-1")
    written = document.write_pdf(pdf_variant="pdf/ua-1", pdf_identifier=identifier)
    if not isinstance(written, bytes):
        raise TypeError("WeasyPrint wrote no bytes")
    return written, {each for font in document.fonts.values() for each in font.missing if each > 0x7F}


def _listed(results: list[RecordJson], told: list[RecordJson]) -> list[RecordJson]:
    if len(results) <= MOST_LISTED:
        return results
    return [*told, *(result for result in results if result not in told)][:MOST_LISTED]


def _refuse(url: str, *_: Any, **__: Any) -> NoReturn:  # noqa: ANN401 -- whatever WeasyPrint hands on
    """A page that wants to load something is wrong: better no report than one that reached out."""
    raise FatalURLFetchingError(f"a report loads nothing, and this would: {url[:200]}")


def _page_of() -> str:
    """`Page 1 of 7` as a value of the property `content` of CSS."""
    counters = {"page": "counter(page)", "number": "counter(pages)"}
    parts = []
    for text, name, _, _ in Formatter().parse(template("pdf.page_of", 2)):
        parts += [json.dumps(text, ensure_ascii=False)] if text else []
        parts += [counters[name]] if name else []
    return " ".join(parts)
