"""The summary says what matters first, and nothing from outside leaves its place in it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conformance.model.record import AppliedWaiver, RunRecord, Waiver, WaiverSignature, WaiverState
from conformance.model.verdict import Verdict
from conformance.report.language import languages, say, speaking
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
OWN_HTML = re.compile(r"</?details>|</?summary>|\n")


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
            every = re.escape(say("markdown.every_check", total="TOTAL")).replace("TOTAL", r"[\d,.]+")
            assert re.fullmatch(f"({every}|{re.escape(say('markdown.about'))})?", OWN_HTML.sub("", token.content))
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


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("make", [records.not_conformant, records.interrupted])
def test_hostile_text_stays_in_its_place(make: Any, name: str, code: str) -> None:
    record = make().to_json()
    with speaking(code):
        rendered = text_of(filled(record, TEXTS[name]))
        found = shape(rendered)
    # A megabyte in every field may leave no room for the last check, in a language that needs more words.
    if name not in SHORTENED and "\n- … " not in rendered:
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


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("name", ["expanding", "wide", "only backticks"])
def test_a_large_record_full_of_hostile_text_stays_below_the_limit(name: str, code: str) -> None:
    with speaking(code):
        rendered = text_of(filled(large(60).to_json(), TEXTS[name]))
        assert len(rendered.encode()) < LARGEST_SUMMARY
        assert shape(rendered)


def test_a_record_without_checks_is_shown_too() -> None:
    empty: RunRecord = replace(records.conformant(), plan=(), results=())
    assert text_of(empty.to_json()).startswith("**Incomplete.** It is not proven that")


def signed_waiver(name: str) -> dict[str, Any]:
    signature = WaiverSignature(name, "governance", "0" * 64, records.AT, "{}")
    waiver = Waiver("MTLS-001", "known", "Jane Mwangi", records.date(2027, 1, 31), signature)
    return replace(records.not_conformant(), waivers=(AppliedWaiver(waiver, WaiverState.APPLIED),)).to_json()


def test_who_has_signed_a_waiver_is_said_with_it_and_the_name_stays_in_its_place() -> None:
    text = text_of(signed_waiver("The Ministry"))
    assert "owner `Jane Mwangi` (signed by `The Ministry`, governance body), until 2027-01-31" in text
    for name in TEXTS.keys() - SHORTENED:
        assert shape(text_of(signed_waiver(TEXTS[name]))) == shape(text)


def test_german_says_what_english_says() -> None:
    record = records.not_conformant().to_json()
    with speaking("de"):
        text = text_of(record)
    assert text.startswith("**Nicht konform.** `birth-registry 1.2 von Example Registries Ltd` ist nicht konform mit")
    assert "| Urteil | MUST | SHOULD | MAY | gesamt |" in text
    assert "16 Prüfungen im Prüfplan; 1 nicht bestandene Prüfung mit Ausnahme." in text
    assert "- DISCOVERY-002: angewandt. Letzter Tag: 31.01.2027. Verantwortlich: `Jane Mwangi`. Grund: `End" in text
    assert "- 1 Prüfung (TRACE-004): `not selected by --only`" in text
    assert "\n### Was als Nächstes zu tun ist\n\n1. Beginnen Sie " in text
    assert "- Begonnen: `03.11.2026, 14:02:05 UTC`" in text
    part = text.partition("#### Nicht bestanden: MTLS-001 (MUST)")[2].partition("####")[0]
    assert re.findall(r"^- ([^`]*): `", part, re.MULTILINE) == [
        "Warum es wichtig ist",
        "Erwartet",
        "Beobachtet",
        "Grund",
        "Was zu tun ist",
        "Zuerst nachsehen",
        "Einzeln ausführen",
        "Anforderung",
    ]
    with speaking("de"):
        assert code(" ") == "`(leer)`"
        left_out = text_of(large().to_json())
    assert re.search(r"^- … [\d.]+ weitere Ausnahmen sind hier ausgelassen; sie stehen in report\.html", left_out, re.M)
    assert "<summary>Alle Prüfungen (1.000)</summary>" in left_out


@pytest.mark.parametrize("code", languages())
def test_only_a_pass_is_shown_as_a_pass_in_every_language(code: str) -> None:
    record = records.not_conformant()
    passed = {result.check for result in record.results if result.verdict is Verdict.PASS}
    with speaking(code):
        text, word = text_of(record.to_json()), say("verdict_word.pass")
    assert set(re.findall(rf"^(?:- |#+ ){word}\S* *:? *([A-Z]+-\d+)", text, re.MULTILINE)) == passed
