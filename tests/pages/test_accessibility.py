"""Every page can be read by everybody: with a screen reader, with the keyboard, on a phone, in the dark, on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Browser

from .builders import WIDTHS, BuiltPage, pages
from .reading import OVERFLOWING, opened

PAGES = {page.name: page for page in pages()}
EVERY_PAGE = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]

# Whatever takes the focus, in the order of the document, which is the order of reading. Of a group of radio buttons it
# is the chosen one; from there the arrows lead to the others (WAI-ARIA Authoring Practices, "Radio Group").
TABBABLE = """
[...document.querySelectorAll('a[href], summary, [tabindex="0"], button, input, select')]
  .filter((each) => !each.matches('[type="radio"]:not(:checked)'))
  .filter((each) => each.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true}))
  .map((each) => [...document.querySelectorAll('*')].indexOf(each))
"""
FOCUSED = """
(() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each);
  return {
    place: [...document.querySelectorAll('*')].indexOf(each),
    tag: each.tagName,
    outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    seen: each.getBoundingClientRect().bottom > 0 && each.getBoundingClientRect().top < innerHeight,
  };
})()
"""


def press(window: Browser, key: str, code: int, text: str = "") -> None:
    common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    window.tell("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
    window.tell("Input.dispatchKeyEvent", type="keyUp", **common)


def faults(window: Browser, axe: str) -> list[Any]:
    """What axe-core finds: rule, what it asks for, and where it is broken."""
    window.value(f"{axe}; null")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found: Any = window.value(
        f"axe.run(document, {json.dumps(options)}).then((found) => ({{passes: found.passes.length, "
        "violations: found.violations.map((each) => "
        "[each.id, each.help, each.nodes.slice(0, 3).map((node) => node.html)])}))"
    )
    assert found["passes"] > 20
    return list(found["violations"])


@EVERY_PAGE
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_fault(page: BuiltPage, scheme: str, width: int, axe: str, window: Browser, built: Path) -> None:
    opened(window, page.written(built), width=width, scheme=scheme)
    window.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert faults(window, axe) == []


def test_axe_finds_the_faults_of_a_page_that_has_some(axe: str, window: Browser, built: Path, tmp_path: Path) -> None:
    page = next(iter(PAGES.values())).written(built).read_text("utf-8")
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(
        page.replace('<html lang="en">', "<html>")
        .replace("--ink: #17212b;", "--ink: #dddddd;")
        .replace("<h4 ", "<h6 ")
        .replace("</h4>", "</h6>"),
        "utf-8",
    )
    found = {rule for rule, *_ in faults(opened(window, spoilt), axe)}
    assert {"html-has-lang", "color-contrast", "heading-order"} <= found


@EVERY_PAGE
def test_the_keyboard_reaches_everything_in_reading_order(page: BuiltPage, window: Browser, built: Path) -> None:
    opened(window, page.written(built))
    expected = window.value(TABBABLE)
    assert len(expected) > 5
    walked = []
    for _ in expected:
        press(window, "Tab", 9)
        focus = window.value(FOCUSED)
        assert focus is not None, f"the focus got lost after {len(walked)} of {len(expected)}"
        assert focus["outlined"], focus
        assert focus["seen"], focus
        walked.append(focus["place"])
    assert walked == expected


@pytest.mark.parametrize("page", [page for name, page in PAGES.items() if name.startswith("registry-index")])
def test_the_arrows_choose_what_a_registry_shows(page: BuiltPage, window: Browser, built: Path) -> None:
    opened(window, page.written(built))
    shown = "[...document.querySelectorAll('#subjects tbody tr')].filter((row) => row.checkVisibility()).length"
    every = window.value(shown)
    window.value("document.querySelector('input[type=radio]:checked').focus()")
    press(window, "ArrowDown", 40)
    chosen = window.value("document.querySelector('input[type=radio]:checked').id.replace('only-', '')")
    assert 0 < window.value(shown) < every
    assert window.value(f"document.querySelectorAll('#subjects tbody tr.of-{chosen}').length") == window.value(shown)
    press(window, "ArrowUp", 38)
    assert window.value(shown) == every


@EVERY_PAGE
def test_enter_opens_what_is_folded_and_follows_links(page: BuiltPage, window: Browser, built: Path) -> None:
    opened(window, page.written(built))
    press(window, "Tab", 9)
    press(window, "Enter", 13, "\r")
    assert window.value("document.activeElement.id || location.hash.slice(1)") == "main"
    folded = window.value("document.querySelectorAll('details:not([open])').length")
    if not folded:
        return
    window.value("document.querySelector('details:not([open]) > summary').focus()")
    press(window, "Enter", 13, "\r")
    assert window.value("document.querySelectorAll('details:not([open])').length") != folded
    assert window.value("document.activeElement.parentElement.open") is True


@EVERY_PAGE
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(page: BuiltPage, width: int, window: Browser, built: Path) -> None:
    opened(window, page.written(built), width=width)
    window.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    too_wide, where = window.value(OVERFLOWING)
    assert (too_wide, where) == (0, [])


@EVERY_PAGE
def test_a_page_works_without_scripts_and_asks_for_nothing(page: BuiltPage, window: Browser, built: Path) -> None:
    file = page.written(built)
    window.complaints.clear()
    opened(window, file)
    loaded = window.value("performance.getEntriesByType('resource').map((each) => each.name)")
    assert loaded == []
    assert window.complaints == []
    window.scripts(allowed=False)
    try:
        window.open("about:blank")
        window.open(file.as_uri())
        tree = window.tell("DOM.getDocument", depth=2)
        assert tree["root"]["documentURL"] == file.as_uri()
    finally:
        window.scripts(allowed=True)


@EVERY_PAGE
def test_a_page_prints_with_everything_unfolded(page: BuiltPage, window: Browser, built: Path) -> None:
    opened(window, page.written(built))
    window.tell("Emulation.setEmulatedMedia", media="print")
    try:
        hidden = window.value(
            "[...document.querySelectorAll('details > :not(summary)')]"
            ".filter((each) => each.getBoundingClientRect().height === 0).length"
        )
    finally:
        window.tell("Emulation.setEmulatedMedia", media="")
    assert hidden == 0
