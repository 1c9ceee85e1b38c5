"""Summaries are said in the chosen language as a whole, and what programs read is not touched by it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverSignature, WaiverState
from conformance.model.requirements import Level
from conformance.report import junit, markdown
from conformance.report.formats import FORMATS
from conformance.report.language import current, languages, speaking
from conformance.report.material import Material
from conformance.report.summary import summarize

from . import records
from .hostile import filled, large
from .pseudo import unmarked_words

WITHOUT_FONTS = [name for name in FORMATS if name != "pdf"]
"""PDF has tests of its own, for not every machine has what it needs."""
TRANSLATED = [code for code in languages() if code != "en"]


def every_waiver() -> RunRecord:
    """Waivers in every state, each signed by somebody."""
    signature = WaiverSignature("The Ministry", "governance", "0" * 64, records.AT, "{}")
    waivers = [Waiver(f"MTLS-00{number}", "known", "Jane Mwangi", records.TODAY, signature) for number in range(1, 5)]
    applied = tuple(AppliedWaiver(*pair) for pair in zip(waivers, WaiverState, strict=True))
    return replace(records.not_conformant(), waivers=applied)


def much() -> RunRecord:
    """More than a page for a merge request holds."""
    return large()


SUMMARIZED = [records.conformant, records.not_conformant, records.interrupted, every_waiver, much]


def outside_code(page: str) -> str:
    """A page of Markdown without its code spans, in which the record speaks, and without tags."""
    return re.sub(r"`[^`]*`|<[^>]*>", "", page)


def harmless(record: RunRecord) -> dict[str, Any]:
    """The record with one word in place of everything that it says."""
    values = filled(record.to_json(), "harmless")
    for result in values["results"]:
        result["reason"] = result["reason"] and "harmless"
    return values


def own_words(record: RunRecord) -> set[str]:
    """What a `harmless` record says in every language, in the parts that `unmarked_words` finds."""
    return {"harmless", *Level, *(result.check.partition("-")[0] for result in record.results)}


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("make", SUMMARIZED)
def test_nothing_in_a_page_of_markdown_is_said_past_the_languages(make: Callable[[], RunRecord]) -> None:
    record = make()
    page = markdown.render(Material(record.to_json())).decode()
    assert set(unmarked_words(outside_code(page))) - own_words(record) == set()
    assert page.count("⟦") > 30


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("make", SUMMARIZED)
def test_nothing_in_a_summary_for_a_terminal_is_said_past_the_languages(make: Callable[[], RunRecord]) -> None:
    record = make()
    lines = summarize(harmless(record), [Path("report.html")])
    assert set(unmarked_words("\n".join(lines))) - own_words(record) == {"report", "html"}


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("make", SUMMARIZED)
def test_nothing_that_junit_tells_people_is_said_past_the_languages(make: Callable[[], RunRecord]) -> None:
    record = make()
    top = ET.fromstring(junit.render(Material(harmless(record))))  # noqa: S314 -- our own output
    told = [text for each in top.iter() for text in (each.text, each.get("message")) if text]
    told += [str(case.get("name")) for case in top.iter("testcase")]
    for_people = ("summary", "totals", "coverage", "waived")
    told += [str(each.get("value")) for each in top.iter("property") if each.get("name") in for_people]
    assert set(unmarked_words("\n".join(told))) - own_words(record) == set()


def words_of_english_alone(code: str) -> dict[str, re.Pattern[str]]:
    """What another language never says, as a reader finds it: whole words, with anything in place of placeholders."""

    def forms() -> dict[str, str]:
        texts = current().texts.items()
        return {
            f"{key} {n}": form
            for key, each in texts
            for n, form in enumerate([each] if isinstance(each, str) else each)
        }

    english = forms()
    with speaking(code):
        said = set(forms().values())
    alone = {key: text for key, text in english.items() if text not in said and re.sub(r"\{\w+\}|\W", "", text)}
    patterns = {}
    for key, text in alone.items():
        pattern = ".+?".join(map(re.escape, re.split(r"\{\w+\}", text)))
        patterns[key] = re.compile(rf"(?<!\w)(?:{pattern}|{pattern.upper()})(?!\w)")
    return patterns


@pytest.mark.parametrize("code", TRANSLATED)
@pytest.mark.parametrize("make", SUMMARIZED)
def test_no_word_of_english_is_left_in_a_summary(make: Callable[[], RunRecord], code: str) -> None:
    record = make().to_json()
    alone = words_of_english_alone(code)
    assert len(alone) > 300
    with speaking(code):
        said = [markdown.render(Material(record)).decode(), *summarize(filled(record, "-"))]
    text = outside_code("\n".join(said))
    assert {key: found.group() for key, each in alone.items() if (found := each.search(text))} == {}
    english = outside_code(markdown.render(Material(record)).decode())
    assert sum(1 for each in alone.values() if each.search(english)) > 20


@pytest.mark.parametrize("code", TRANSLATED)
@pytest.mark.parametrize("name", WITHOUT_FONTS)
def test_what_people_read_speaks_and_what_programs_read_keeps_to_the_language_of_the_record(
    name: str, code: str
) -> None:
    form = FORMATS[name]
    for make in SUMMARIZED[:-1]:
        record = make().to_json()
        with speaking(code):
            translated = form.render(Material(record))
            assert form.of(Material(record)) == translated
            assert current().code == code
        assert (translated == form.render(Material(record))) is not form.spoken
    spoken = {"html", "pdf", "markdown", "junit", "bundle"}
    assert {name for name, each in FORMATS.items() if each.spoken} == spoken
