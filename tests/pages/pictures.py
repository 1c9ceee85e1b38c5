"""Pictures of every page, to be looked at: `python -m pages.pictures FOLDER` in `tests/`, with `PYTHONPATH=.`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from browser import browser

from .builders import WIDTHS, pages


def take_pictures(folder: Path) -> list[Path]:
    """Every page in every width, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as window:
        for page in pages():
            file = page.written(folder)
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    window.look(width=width, height=900, scheme=scheme)
                    window.open(file.as_uri())
                    window.value("new Promise((done) => document.fonts.ready.then(() => done(true)))")
                    taken.append(folder / f"{page.name}-{scheme}-{width}.png")
                    window.picture(taken[-1])
    return taken


if __name__ == "__main__":
    print(*take_pictures(Path(sys.argv[1])), sep="\n")  # noqa: T201 -- run by hand
