"""Text from outside is shown as what it is."""

from __future__ import annotations

import pytest

from conformance.report.text import MOST_MARKS, visible


@pytest.mark.parametrize("text", ["e\u0301", "Việt", "שָׁלוֹם", "مَرْحَبًا", "ที่นี่", "नमस्ते", "👩‍👩‍👧", "naïve"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_marks_heaped_upon_a_letter_are_named_from_the_ninth_on() -> None:
    assert visible("a" + "\u0301" * MOST_MARKS) == "a" + "\u0301" * MOST_MARKS
    assert visible("a" + "\u0301" * (MOST_MARKS + 2) + "b") == "a" + "\u0301" * MOST_MARKS + "⟨U+0301⟩⟨U+0301⟩b"
