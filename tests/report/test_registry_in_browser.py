"""Registry and comparison in a real browser: any width, any light, by keyboard, without scripts, on paper."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser

from conformance.report.comparison import compare
from conformance.report.comparison_page import render
from conformance.report.language import speaking
from conformance.report.material import Material
from conformance.system.deadlines import until

from . import records
from .registries import small_site


@pytest.fixture(scope="module", params=["en", "de"])
def pages(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Path]:
    """A page of every kind, in the shipped languages: words that are longer need more room."""
    with speaking(request.param):
        return made(tmp_path_factory)


def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages, in the language of the moment."""
    # A sub-path with characters that addresses have to escape: links are relative, so it does not matter.
    folder = tmp_path_factory.mktemp("some where")
    site = small_site(folder)
    index = json.loads((site / "index.json").read_bytes())
    history = next(each for each in index["subjects"] if len(each["records"]) > 1)
    both = Material(records.conformant().to_json()), Material(records.not_conformant().to_json())
    (folder / "comparison.html").write_bytes(render(compare(*both)))
    return {
        "index": site / "index.html",
        "area": site / "areas/MTLS.html",
        "subject": site / history["page"],
        "bundle": site / f"bundles/{history['latest']}/index.html",
        "changes": site / f"bundles/{history['latest']}/changes.html",
        "comparison": folder / "comparison.html",
    }


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        opened.scripts(allowed=False)
        yield opened


async def show(window: Browser, page: Path) -> None:
    window.complaints.clear()
    window.open(page.as_uri())
    await until(
        lambda: window.value(f"location.href === {json.dumps(page.as_uri())} && document.readyState") == "complete",
        what="the page is loaded",
        timeout=60,
        last_seen=lambda: str(window.value("location.href")),
    )


KINDS = ["index", "area", "subject", "bundle", "changes", "comparison"]


@pytest.mark.parametrize("width", [1280, 768, 320])
@pytest.mark.parametrize("kind", KINDS)
async def test_no_page_is_wider_than_the_screen(kind: str, width: int, pages: dict[str, Path], window: Browser) -> None:
    window.look(width=width, scheme="dark" if width == 768 else "light")
    await show(window, pages[kind])
    assert window.value("document.documentElement.scrollWidth") <= width
    assert window.complaints == []


@pytest.mark.parametrize("kind", KINDS)
async def test_the_keyboard_reaches_everything_in_the_order_of_the_page(
    kind: str, pages: dict[str, Path], window: Browser
) -> None:
    window.look()
    await show(window, pages[kind])
    reachable = window.value(
        "[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"], input:checked')]"
        ".filter((each) => each.checkVisibility()).length"
    )
    seen = []
    for _ in range(reachable):
        for kind_of_event in ("keyDown", "keyUp"):
            window.tell("Input.dispatchKeyEvent", type=kind_of_event, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(
            window.value(
                "[...document.querySelectorAll('*')].indexOf(document.activeElement) + ' ' + "
                "(getComputedStyle(document.activeElement).outlineStyle !== 'none')"
            )
        )
    places = [int(each.split()[0]) for each in seen]
    assert places == sorted(set(places))
    assert all(each.endswith("true") for each in seen)
    assert window.value("document.activeElement.matches('main *, footer *, nav *')")


async def test_the_filter_works_without_scripts(pages: dict[str, Path], window: Browser) -> None:
    window.look()
    await show(window, pages["index"])
    rows = "[...document.querySelectorAll('.matrix tbody tr')].filter((each) => each.checkVisibility()).length"
    assert window.value(rows) == 4
    window.value("document.getElementById('only-incomplete').checked = true")
    assert window.value(rows) == 1
    assert "citizen-id" in window.value("document.querySelector('#matrix').innerText")
    window.value("document.getElementById('only-all').checked = true")
    assert window.value(rows) == 4


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_can_be_printed(kind: str, pages: dict[str, Path], window: Browser) -> None:
    await show(window, pages[kind])
    printed = base64.b64decode(window.tell("Page.printToPDF", generateTaggedPDF=True)["data"])
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 10_000
