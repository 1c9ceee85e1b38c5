"""What several tests of reports begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.report import language
from conformance.report.language import current, speaking


@pytest.fixture
def pseudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A language in which every text is marked."""
    folder, marked = language.FOLDER, []
    for line in (folder / "en.toml").read_text("utf-8").split("\n[series]")[1].split("\n"):
        texts = re.findall(r'"((?:[^"\\]|\\.)*)"(?=[,\]\s]*$|, ")', line.partition("=")[2]) if "=" in line else []
        texts = texts or (re.findall(r'^    "(.*)",$', line))
        for text in texts:
            line = line.replace(f'"{text}"', f'"⟦{text}⟧"')  # noqa: PLW2901
        marked.append(line)
    head = (folder / "en.toml").read_text("utf-8").split("\n[series]")[0]
    (tmp_path / "qps.toml").write_text(head + "\n[series]" + "\n".join(marked), "utf-8")
    (tmp_path / "en.toml").write_bytes((folder / "en.toml").read_bytes())
    monkeypatch.setattr(language, "FOLDER", tmp_path)
    with speaking("qps"):
        assert all(
            form.startswith("⟦") and form.endswith("⟧")
            for text in current().texts.values()
            for form in ([text] if isinstance(text, str) else text)
        )
        yield
