"""Whatever stands in a record: on its page nothing of it runs, nothing breaks the layout, nothing hides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser
from report import records
from report.hostile import spoilt
from report.pages import Page

from conformance.report import html
from conformance.report.language import speaking
from conformance.report.material import Material

from .builders import WIDTHS
from .reading import OVERFLOWING, opened

RUNS = "globalThis.owned = true"
MARKUP = (
    f"</bdi></title></style></script><script>{RUNS}</script><img src=x onerror='{RUNS}'><svg onload='{RUNS}'>"
    f"<style>*{{width:9000px!important}}</style><a href='javascript:{RUNS}'>x</a><iframe srcdoc='<script>{RUNS}'>"
    f"<meta http-equiv=refresh content='0;url=data:text/html,x'>\" autofocus onfocus='{RUNS}' style='width:9000px"
)
HOSTILE = {
    "a megabyte of HTML": (MARKUP * (1_000_000 // len(MARKUP) + 1))[:1_000_000],
    "a megabyte without a space": "W" * 1_000_000,
    "NUL and other controls": "\x00\x07\x1b[2J\x9b31m" * 500,
    "right-to-left": "\u202e\u2067\u200f\u0633\u062c\u0644" * 500,
    "combining marks": "a" + "\u0301\u0489" * 2_000,
}


def small() -> records.RunRecord:
    """A record of one failed check with everything that a check may have, a waiver and trouble."""
    whole = records.not_conformant()
    kept = {"MTLS-001", "DISCOVERY-002", "RATE-004"}
    return replace(
        whole,
        plan=tuple(entry for entry in whole.plan if entry.check.id in kept),
        results=tuple(result for result in whole.results if result.check in kept),
        waivers=whole.waivers[:1],
        trouble="something",
    )


@pytest.fixture(scope="module", params=HOSTILE)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = json.loads(json.dumps(spoilt(small(), HOSTILE[request.param])))
    with speaking("de"):
        made = html.render(Material(record))
        harmless = html.render(Material(spoilt(small(), "harmless ")))
    assert Page.of(made).shape == Page.of(harmless).shape
    assert len(made) < html.LARGEST_PAGE
    file = tmp_path_factory.mktemp("hostile") / "report.html"
    file.write_bytes(made)
    return file


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_and_nothing_breaks_the_layout(page: Path, width: int, window: Browser) -> None:
    window.complaints.clear()
    opened(window, page, width=width)
    window.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert window.value("[globalThis.owned === undefined, document.scripts.length]") == [True, 0]
    assert window.value("document.querySelectorAll('img, iframe, [onload], [onerror], [onfocus], [style]').length") == 0
    assert window.complaints == []
    assert window.value(OVERFLOWING) == [0, []]
    assert window.value("getComputedStyle(document.body).direction") == "ltr"
    # What comes after hostile text still stands where it belongs.
    assert window.value("document.querySelector('footer').getBoundingClientRect().left") == 0 or width > 1_280
