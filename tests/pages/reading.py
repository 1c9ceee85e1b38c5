"""How tests look at a page in a browser."""

from __future__ import annotations

from pathlib import Path

from browser import Browser

OVERFLOWING = """
(() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (each) => each.closest('.scroll') !== null || each.closest('svg') !== null;
  return [document.documentElement.scrollWidth - wide, [...document.querySelectorAll('body *')]
    .filter((each) => !scrolls(each) && !each.closest('.unseen, .stack thead, .by-area thead, .skip'))
    .filter((each) => each.getBoundingClientRect().right > wide + 1)
    .map((each) => each.outerHTML.slice(0, 120))];
})()
"""


def opened(window: Browser, file: Path, *, width: int = 1280, scheme: str = "light") -> Browser:
    """The page, loaded."""
    window.look(width=width, height=900, scheme=scheme)
    # Whoever asks for less motion is scrolled to a place at once, so a test need not wait for it.
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    window.tell("Emulation.setEmulatedMedia", features=[{"name": name, "value": wish} for name, wish in wishes.items()])
    window.open("about:blank")
    window.open(file.as_uri())
    window.value("new Promise((done) => document.readyState === 'complete' ? done(1) : addEventListener('load', done))")
    assert window.value("location.href") == file.as_uri()
    return window
