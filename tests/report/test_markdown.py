"""The summary says what matters first, and nothing from outside leaves its place in it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conformance.model.record import RunRecord
from conformance.report.markdown import LARGEST_SUMMARY, code, render
from conformance.report.material import Material
from conformance.report.text import one_line
from conformance.report.wording import outcome_sentence

from . import records
from .hostile import TEXTS, filled, large

# As code hosts read it: tables, bare links and raw HTML.
READER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
SHORTENED = {"blanks", "expanding", "wide"}
"""Texts that leave less on the page: what is blank is left out, what is long is cut."""
OWN_HTML = re.compile(r"</?details>|</?summary>|Every check \([\d,]+\)|About this run|\n")


def text_of(record: dict[str, Any]) -> str:
    return render(Material(record)).decode()


def plain(markdown: str) -> str:
    return re.sub(r"[`*]", "", markdown)


def shape(markdown: str) -> list[str]:
    """What the page is made of, without the words in code spans; HTML must be its own."""
    found = []
    for token in READER.parse(markdown):
        inline = [each.type for each in token.children or ()]
        assert not {"link_open", "image", "html_inline"}.intersection(inline)
        if token.type == "html_block":
            assert OWN_HTML.sub("", token.content) == ""
        assert token.type not in ("fence", "code_block", "hr")
        found += [token.type, *inline]
    return found


def test_the_outcome_comes_first_in_one_sentence() -> None:
    record = records.not_conformant().to_json()
    first, second = text_of(record).split("\n\n")[:2]
    assert plain(first) == f"Not conformant. {outcome_sentence(record)}"
    assert second.startswith("At least one mandatory requirement is not kept")


def test_a_failed_check_says_why_it_matters_what_was_seen_and_what_to_do() -> None:
    text = text_of(records.not_conformant().to_json())
    part = text.partition("#### Fail: MTLS-001 (MUST)")[2].partition("####")[0]
    told = dict(re.findall(r"^- ([A-Z][a-z ]+): `(.*)`$", part, re.MULTILINE))
    assert told == {
        "Why it matters": records.WHY["MTLS-001"].partition("\n")[0],
        "Expected": "the handshake of a caller without a certificate ends with the alert certificate_required",
        "Seen": "the handshake succeeded, and POST /v1/births was answered with 201",
        "Reason": "anonymous-served",
        "Next step": records.REMEDIES["MTLS-001"],
        "Look first": "birth-registry.meshmark.yaml:2:1",
        "Reproduce": "meshmark certify birth-registry.meshmark.yaml --only MTLS-001 --seed 1729",
        "Requirement": f"MTLS-R1: {records.TEXTS['MTLS-R1']} ({', '.join(records.SOURCES['MTLS-R1'])})",
    }


def test_what_is_waived_comes_last_and_says_who_answers_until_when() -> None:
    text = text_of(records.not_conformant().to_json())
    headings = re.findall(r"^#### (.*)$", text, re.MULTILINE)
    assert headings[0] == "Fail: MTLS-001 (MUST)"
    assert headings[-1] == "Fail, waived: DISCOVERY-002 (MUST)"
    assert "- DISCOVERY-002: applied; owner `Jane Mwangi`, until 2027-01-31, reason `Endpoints" in text
    assert "- RETRY-001: not needed, which fails the run; owner" in text


def test_checks_that_were_not_run_stand_with_their_reason() -> None:
    text = text_of(records.interrupted().to_json())
    assert "- 3 checks (POLICY-001, AUTHZ-001, API-001): `the run was interrupted by Ctrl-C`" in text
    assert "- The run was interrupted before its end.\n- `Ctrl-C after 1 of 4 checks`" in text


def test_a_good_run_has_nothing_to_mend() -> None:
    text = text_of(records.conformant().to_json())
    assert text.startswith("**Conformant.** ")
    assert not {"### What failed or gave no proof", "### Waivers", "### Not run", "### The run"} & set(text.split("\n"))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("make", [records.not_conformant, records.interrupted])
def test_hostile_text_stays_in_its_place(make: Any, name: str) -> None:
    record = make().to_json()
    rendered = text_of(filled(record, TEXTS[name]))
    found = shape(rendered)
    if name not in SHORTENED:
        assert found == shape(text_of(filled(record, "harmless")))
    assert len(rendered.encode()) < LARGEST_SUMMARY
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", rendered)


@given(st.text(alphabet=st.sampled_from("`|<>@#[]()\\*_~!&$\n ax:"), max_size=60))
def test_a_code_span_holds_any_text(text: str) -> None:
    for before in ("", "- Seen: "):
        tokens = [each for token in READER.parse(before + code(text)) for each in token.children or ()]
        spans = [each.content for each in tokens if each.type == "code_inline"]
        assert spans == [one_line(text) or "(empty)"]
        assert [each.content for each in tokens if each.type != "code_inline" and each.content] == [before[2:]] * bool(
            before
        )


def test_a_large_record_is_cut_and_says_what_is_missing() -> None:
    record = large()
    text = text_of(record.to_json())
    assert 30_000 < len(text.encode()) < LARGEST_SUMMARY
    missing = {
        noun: int(number.replace(",", "")) for number, noun in re.findall(r"… ([\d,]+) more (\w+) left out", text)
    }
    shown = len(re.findall(r"^- [A-Z][a-z ,]+: [A-Z]+-\d{3} \(", text, re.MULTILINE))
    listed = text.partition("<summary>Every check")[2]
    assert int(re.findall(r"… ([\d,]+) more checks", listed)[0].replace(",", "")) + shown == len(record.results)
    assert missing.keys() >= {"checks", "waivers", "reasons"}


@pytest.mark.parametrize("name", ["expanding", "wide", "only backticks"])
def test_a_large_record_full_of_hostile_text_stays_below_the_limit(name: str) -> None:
    rendered = text_of(filled(large(60).to_json(), TEXTS[name]))
    assert len(rendered.encode()) < LARGEST_SUMMARY
    assert shape(rendered)


def test_a_record_without_checks_is_shown_too() -> None:
    empty: RunRecord = replace(records.conformant(), plan=(), results=())
    assert text_of(empty.to_json()).startswith("**Incomplete.** It is not proven that")
