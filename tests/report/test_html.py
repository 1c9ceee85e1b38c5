"""The page is sound, complete, accessible and inert, whatever stands in the record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from conformance.model.record import RunRecord
from conformance.model.requirements import Level
from conformance.model.verdict import Evidence, EvidenceKind, Expectation, Verdict
from conformance.report import html
from conformance.report.html import LARGEST_PAGE, MOST_EVIDENCE
from conformance.report.material import Material

from . import records
from .hostile import spoilt
from .pages import Page

ALL = [records.conformant, records.not_conformant, records.interrupted]
MEGABYTE = "x" * 1_000_000


def page_of(record: RunRecord) -> Page:
    return Page.of(html.render(Material(record.to_json())))


@pytest.mark.parametrize("make", ALL)
def test_a_page_is_well_formed_and_finds_its_way(make: Callable[[], RunRecord]) -> None:
    page = page_of(make())
    identifiers = page.values("id")
    assert len(set(identifiers)) == len(identifiers)
    for target in page.values("href"):
        assert target.startswith("#")
        assert target[1:] in identifiers, target
    for labels in page.values("aria-labelledby"):
        assert labels in identifiers


@pytest.mark.parametrize("make", ALL)
def test_a_page_has_the_landmarks_and_headings_that_assistive_technology_needs(make: Callable[[], RunRecord]) -> None:
    page = page_of(make())
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("h1", "main", "nav", "header", "footer", "title")][:3] == [1, 1, 1]
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3", "h4", "h5")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(cell.attributes.get("scope") in ("col", "row") for cell in page.all("th"))
    pictures = [drawing for drawing in page.all("svg") if drawing.attributes.get("role") == "img"]
    areas = {result.check.partition("-")[0] for result in make().results}
    assert len(pictures) == 1 + len(areas)
    assert all(page.by_id(str(each.attributes["aria-labelledby"])).text for each in pictures)
    silent = [drawing for drawing in page.all("svg") if drawing not in pictures]
    assert all(drawing.attributes["aria-hidden"] == "true" for drawing in silent)
    assert page.elements[[e.tag for e in page.elements].index("body") + 1].attributes["class"] == "skip"


@pytest.mark.parametrize("make", ALL)
def test_a_page_needs_nothing_from_anywhere_and_runs_nothing(make: Callable[[], RunRecord]) -> None:
    page = page_of(make())
    assert page.all("script", "link", "img", "iframe", "object", "form") == []
    assert page.values("style") == []
    assert page.values("src") == []
    assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]
    assert "url(" not in page.all("style")[0].text
    assert "@import" not in page.all("style")[0].text
    policy = [meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy[0].attributes["content"]).startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    )


def test_every_check_of_the_plan_stands_there_once_and_failures_are_open() -> None:
    record = records.not_conformant()
    page = page_of(record)
    for result in record.results:
        place = page.by_id(result.check)
        assert result.title in place.text
        if result.verdict in (Verdict.NOT_RUN, Verdict.NOT_APPLICABLE):
            assert place.tag == "tr"
            assert result.seen in place.text
        else:
            assert place.tag == "article"
            details = page.elements[page.elements.index(place) + 1]
            assert ("open" in details.attributes) == (result.verdict is not Verdict.PASS)


def test_a_red_line_is_one_click_from_its_cause() -> None:
    record = records.not_conformant()
    page = page_of(record)
    rows = [row.text for row in page.all("tr")]
    for result in record.results:
        if result.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE):
            assert any(result.check in row and result.seen in row for row in rows)
            cause = page.by_id(result.check).text
            assert result.reason in cause
            assert result.expected in cause
            assert result.next_step in cause
            assert result.reproduce in cause


def test_every_check_says_why_it_matters_and_who_asks_for_it() -> None:
    for record in (records.conformant(), records.not_conformant()):
        page = page_of(record)
        for entry in record.plan:
            place = page.by_id(entry.check.id).text
            why, *how = entry.check.description.split("\n\n")
            assert why in place
            for requirement in (records.requirement(each) for each in entry.check.proves if entry.run):
                assert all(each.replace("`", "") in place for each in (*how, requirement.id, requirement.text))
                assert all(source.id in place for source in requirement.sources)


def test_what_to_do_stands_out_on_a_fail_only() -> None:
    page = page_of(records.not_conformant())
    assert "What to do" + "\n" + records.ANONYMOUS.check.remedy in page.by_id("MTLS-001").text
    assert "What to do" not in page.by_id("MTLS-002").text


def test_mandatory_checks_that_were_not_run_are_called_to_attention() -> None:
    text = page_of(records.interrupted()).by_id("attention").text
    assert "without proof: POLICY-001, AUTHZ-001, API-001" in text


def test_a_waived_fail_says_fail_and_who_answers_for_it() -> None:
    text = page_of(records.not_conformant()).by_id("DISCOVERY-002").text
    assert "Fail, waived" in text
    assert "failed, waived until 2027-01-31 by Jane Mwangi" in text


def test_what_a_check_judged_is_shown_on_a_pass_too() -> None:
    text = page_of(records.conformant()).by_id("MTLS-001").text
    assert "the call with a mesh certificate is answered" in text
    assert "201 in 7 ms" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "</bdi></pre></style></title><h1>",
        "\"' onmouseover='x' <img src=x onerror=alert(1)>",
        "--><!-- {{ 7 * 7 }} {% endraw %} ]]>",
        "\x00\x1b[31m\x07\ud800\ufffe",
        "\u202egnp.exe \u2067\u2066",
        "&lt;&amp;&#x3c;",
    ],
)
def test_hostile_text_changes_no_element_of_the_page(hostile: str) -> None:
    record = records.not_conformant()
    page = html.render(Material(spoilt(record, hostile)))
    assert Page.of(page).shape == Page.of(html.render(Material(spoilt(record, "harmless")))).shape
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.decode())


def test_words_from_outside_stand_in_an_element_that_isolates_their_direction() -> None:
    arabic = "\u0633\u062c\u0644 \u0627\u0644\u0645\u0648\u0627\u0644\u064a\u062f"
    record = replace(records.conformant(), trouble=arabic)
    assert f"<bdi>{arabic}</bdi>" in html.render(Material(record.to_json())).decode()


def test_a_megabyte_of_text_is_cut_and_the_page_says_how_much_is_missing() -> None:
    first, *rest = records.not_conformant().results
    observed = {"response": {"status": 200, "headers": {}, "body": MEGABYTE}, "log": [MEGABYTE], "note": MEGABYTE}
    huge = replace(
        first,
        seen=MEGABYTE,
        title=MEGABYTE,
        expectations=(Expectation("huge", MEGABYTE, MEGABYTE, met=False),),
        evidence=(Evidence(MEGABYTE, EvidenceKind.EXCHANGE, observed, records.AT),),
    )
    page = html.render(Material(replace(records.not_conformant(), results=(huge, *rest)).to_json()))
    assert b"996,000 more characters" in page
    assert len(page) < 400_000


def test_much_evidence_is_bounded_and_the_page_says_what_is_missing() -> None:
    first, *rest = records.conformant().results
    many = tuple(replace(records.COUNTERS, name=f"round {number}") for number in range(1_500))
    record = replace(records.conformant(), results=(replace(first, evidence=many), *rest))
    page = html.render(Material(record.to_json())).decode()
    assert f"… {1_500 - MOST_EVIDENCE:,} more pieces in record.json" in page
    assert page.count('<details class="evidence">') < 50


def test_a_thousand_results_with_evidence_stay_below_the_largest_page_and_no_fail_is_cut_short() -> None:
    evidence = (records.KNOWN_CALLER, records.ANONYMOUS_CALLER, records.COUNTERS, records.LOG)
    failed, passed = records.not_conformant().results[0], records.conformant().results[0]
    plan = tuple(
        records.entry(f"MTLS-{number:03d}", f"Check {number}", [f"MTLS-R{number % 9}"], Level.MUST)
        for number in range(1_000)
    )
    results = tuple(
        replace(failed if number % 8 == 0 else passed, check=each.check.id, proves=each.check.proves, evidence=evidence)
        for number, each in enumerate(plan)
    )
    made = html.render(Material(records.record(plan, results).to_json()))
    assert len(made) < LARGEST_PAGE
    page = Page.of(made)
    told = [page.by_id(result.check).text for result in results if result.verdict is Verdict.FAIL]
    assert all(failed.seen in text and failed.next_step in text for text in told)
    assert "known caller" in told[0]
    shortened = [each for each in page.all("article") if "The page would grow too large" in each.text]
    assert 0 < len(shortened) < 1_000


def test_a_thousand_results_make_one_page_with_every_one_of_them() -> None:
    plan = tuple(
        records.entry(f"MTLS-{number:03d}", f"Check {number}", ["MTLS-R1"], Level.MUST) for number in range(1_000)
    )
    results = tuple(
        records.judged(each, Verdict.FAIL if number % 7 == 0 else Verdict.PASS, evidence=(records.KNOWN_CALLER,))
        for number, each in enumerate(plan)
    )
    page = page_of(records.record(plan, results))
    assert len(page.all("article")) == 1_000
    assert "143 of 1,000 mandatory checks failed" in page.all("h1")[0].text


# Colours: what must be readable on what. WCAG 2.2 asks for 4.5 : 1 (AA).
TONES = ["pass", "fail", "waived", "inconclusive", "error", "not-applicable", "not-run"]
PAIRS = [
    *[(tone, ground) for tone in [*TONES, "ink", "muted", "link"] for ground in ("ground", "surface", "sunken")],
    *[(tone, f"{tone}-tint") for tone in TONES[:5]],
    *[(tone, f"{tint}-tint") for tone in ("ink", "muted") for tint in TONES[:5]],
]


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css))


def schemes() -> dict[str, str]:
    folder = Path(html.__file__).parent / "templates"
    css = (folder / "report.css").read_text(encoding="utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")
    return {
        "light": light,
        "dark": light + dark.split("/* Ground */")[0],
        "print": light + (folder / "print.css").read_text(encoding="utf-8"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_text_has_enough_contrast(scheme: str) -> None:
    values = colours(schemes()[scheme])
    weak = {pair: ratio for pair in PAIRS if (ratio := contrast(values[pair[0]], values[pair[1]])) < 4.5}
    assert weak == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_banner_of_every_outcome_has_strong_contrast(scheme: str) -> None:
    for banner in re.findall(r"--banner: (#[0-9a-f]{6});", schemes()[scheme]):
        assert contrast("#ffffff", banner) >= 7
