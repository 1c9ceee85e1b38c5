"""Every language says everything, and nothing is said outside of the languages' files."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

from conformance.model.errors import UsageError
from conformance.model.record import RunRecord, WaiverState
from conformance.model.verdict import Outcome, Verdict
from conformance.report import comparison_page, html, junit, language, templating, wording
from conformance.report.comparison import Comparison, compare
from conformance.report.comparison_text import comparison_lines
from conformance.report.language import current, languages, say, speaking
from conformance.report.material import Material
from conformance.report.registry import rendering
from conformance.report.registry.build import build_registry
from conformance.report.summary import summarize
from conformance.report.text import count, cut, series

from . import records
from .pages import VOID, Page
from .pseudo import unmarked_words
from .registries import TITLE, TODAY, fill

ROOM = Path(language.__file__).parent
ALL = [records.conformant, records.not_conformant, records.interrupted]
TRANSLATED = [code for code in languages() if code != "en"]


def placeholders(text: str | tuple[str, ...]) -> set[str]:
    forms = [text] if isinstance(text, str) else text
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name is not None}


def test_at_least_one_language_was_translated() -> None:
    assert languages()[0] == "en"
    assert "de" in TRANSLATED


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_language_has_every_text_with_the_same_placeholders_and_no_other_text(code: str) -> None:
    english = {key: placeholders(text) for key, text in current().texts.items()}
    with speaking(code):
        assert {key: placeholders(text) for key, text in current().texts.items()} == english
        assert all(text for text in current().texts.values())


@pytest.mark.parametrize("code", languages())
def test_plural_forms_are_as_many_as_the_rule_knows(code: str) -> None:
    with speaking(code):
        used = {current().form(number) for number in range(1_000)}
        for key, text in current().texts.items():
            assert isinstance(text, str) or len(text) == len(used), key


@pytest.mark.parametrize("code", languages())
def test_every_word_of_the_vocabulary_has_its_own_word(code: str) -> None:
    with speaking(code):
        tables = (wording.OUTCOME_WORDS, wording.VERDICT_WORDS, wording.WAIVER_WORDS, wording.AREA_TITLES)
        for table in tables:
            assert len(set(table.values())) == len(table)
        assert [*wording.OUTCOME_WORDS] == [*Outcome]
        assert all(wording.VERDICT_MEANINGS[verdict] for verdict in Verdict)


def literal_keys() -> Iterator[tuple[str, str]]:
    """Keys that code and templates name in full, and the nouns that `count` is given."""
    for file in ROOM.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            place = {"say": 0, "count": 1}.get(call.func.id)
            if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
                key = str(call.args[place].value)  # type: ignore[attr-defined]
                yield file.name, f"nouns.{key}" if place else key
    for file in (ROOM / "templates").rglob("*.j2"):
        for key in re.findall(r'say\("([^"]+)"(?=[,)])', file.read_text("utf-8")):
            yield file.name, key


def test_every_key_that_is_used_exists_and_every_noun_is_known() -> None:
    used = list(literal_keys())
    assert len(used) > 100
    assert [(file, key) for file, key in used if key not in current().texts] == []


def test_every_text_is_used() -> None:
    sources = [*ROOM.rglob("*.py"), *(ROOM.parent / "cli").rglob("*.py"), *(ROOM / "templates").rglob("*.j2")]
    said = "\n".join(file.read_text("utf-8") for file in sources)
    tables = set(re.findall(r'say\(\s*f?"([a-z_]+)\.[{"]', said)) | set(re.findall(r'Words\("([a-z_]+)"', said))
    tables |= {"label", "nouns"} | set(re.findall(r'"([a-z_]+)\.\{', said)) | set(re.findall(r'f"([a-z_]+)\.', said))
    exact = set(re.findall(r'"([a-z_]+\.[A-Za-z_-]+)"', said))
    unused = [key for key in current().texts if key not in exact and key.partition(".")[0] not in tables]
    assert unused == []


@pytest.mark.parametrize("file", sorted((ROOM / "templates").rglob("*.j2")), ids=lambda file: file.name)
def test_no_template_holds_words(file: Path) -> None:
    environment = templating.page_environment()
    data = "".join(
        text if kind == "data" else "\x01"
        for _, kind, text in environment.lex(file.read_text("utf-8"))
        if kind in ("data", "variable_begin", "variable_end")
    )
    data = re.sub(r"<style>.*?</style>", "", data, flags=re.DOTALL)
    outside_tags = re.sub(r"<[^<>]*>", " ", data)
    assert re.findall(r"[^\W\d_]+", outside_tags.replace("⟨U+202E⟩", "")) == []
    shown = re.findall(r'(?:aria-label|alt|title|data-label|placeholder)="([^"]*)"', data)
    assert [text for text in shown if re.search(r"[^\W\d_]", text)] == []


def site_of(folder: Path, site: Path) -> Path:
    """A registry in the language of the moment."""
    build_registry(folder, site, title=TITLE, today=TODAY)
    return site


def comparison_of_two() -> Comparison:
    """Two runs that differ in much."""
    before, after = records.not_conformant(), replace(records.conformant(), seed=7, profile="strict")
    return compare(Material(before.to_json()), Material(after.to_json()))


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("make", ALL)
def test_nothing_on_a_page_is_said_past_the_languages(make: Callable[[], RunRecord]) -> None:
    page = html.render(Material(make().to_json())).decode()
    own = {requirement.id.partition("-")[0] for requirement in make().requirements}
    assert set(unmarked_words(page)) - own == set()
    assert "⟦" in page


@pytest.mark.usefixtures("pseudo")
def test_nothing_in_a_comparison_is_said_past_the_languages() -> None:
    both = comparison_of_two()
    own = {item.id.partition("-")[0] for item in [*both.checks, *both.requirements]}
    page = comparison_page.render(both).decode()
    assert set(unmarked_words(page)) - own == set()
    assert len(both.ground) == 3
    lines = [line for line in comparison_lines(both) if line and not line.startswith(("  MTLS", "! ", "  "))]
    assert all("⟦" in line for line in lines)


@pytest.mark.usefixtures("pseudo")
def test_nothing_in_a_registry_is_said_past_the_languages(tmp_path: Path) -> None:
    site = site_of(fill(tmp_path / "bundles"), tmp_path / "site")
    pages = [each for each in site.rglob("*.html") if each.name not in ("report.html", "changes.html")]
    assert {each.parent.name for each in pages} >= {"site", "areas", "profiles", "subjects"}
    data = json.loads((site / "index.json").read_bytes())
    own = {each.partition("-")[0] for each in data["requirements"]}
    # Whoever builds it gives the title; the names of files and formats are the same in every language.
    own |= set(TITLE.split())
    own |= {"JSON", "record", "json", "junit", "xml", "index", "html", "meshmark", "zip"}
    own |= {word for each in data["bundles"] for word in re.findall(r"[^\W\d_]+", each["bundle"])}
    for each in pages:
        assert set(unmarked_words(each.read_text("utf-8"))) - own == set(), each


@pytest.mark.parametrize("code", TRANSLATED)
def test_programs_read_the_same_in_every_language(code: str, tmp_path: Path) -> None:
    folder = fill(tmp_path / "bundles")
    english, both = site_of(folder, tmp_path / "english"), comparison_of_two()
    said = both.to_json()
    with speaking(code):
        translated = site_of(folder, tmp_path / code)
        assert both.to_json() == said
        assert both.sentence != said["summary"]
    assert (translated / "index.json").read_bytes() == (english / "index.json").read_bytes()
    assert (translated / "index.html").read_bytes() != (english / "index.html").read_bytes()
    for page in translated.rglob("*.html"):
        assert Page.of(page.read_bytes()).all("html")[0].attributes["lang"] == code
    assert f'xml:lang="{code}"' in (translated / "feed.xml").read_text("utf-8")


def test_a_site_that_changes_its_language_is_made_anew_and_other_processes_speak_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "bundles")
    site = site_of(folder, tmp_path / "site")
    monkeypatch.setattr(rendering, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(rendering.os, "cpu_count", lambda: 2)
    with speaking("de"):
        site_of(folder, site)
        monkeypatch.undo()
        fresh = site_of(folder, tmp_path / "fresh")
    for file in fresh.rglob("*"):
        assert file.is_dir() or file.read_bytes() == (site / file.relative_to(fresh)).read_bytes(), file


@pytest.mark.parametrize("code", TRANSLATED)
@pytest.mark.parametrize("make", ALL)
def test_words_of_the_record_are_marked_as_english_where_the_page_is_not(
    make: Callable[[], RunRecord], code: str
) -> None:
    record = make()
    with speaking(code):
        raw = html.render(Material(record.to_json()))
    page = Page.of(raw)
    assert page.all("html")[0].attributes["lang"] == code
    english = "".join(each.text for each in page.elements if each.attributes.get("lang") == "en")
    for result in record.results:
        assert result.title in english
        assert result.seen in english
        assert result.expected in english
    for requirement in record.requirements:
        assert requirement.text in english
    assert b' lang="en"' not in html.render(Material(record.to_json())).replace(b'<html lang="en">', b"")


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("make", ALL)
def test_a_page_is_built_alike_in_every_language(make: Callable[[], RunRecord], code: str) -> None:
    material = Material(make().to_json())
    with speaking(code):
        page = Page.of(html.render(material))
    english = Page.of(html.render(material))

    def shape(each: Page) -> list[tuple[str, list[str]]]:
        return [(tag, [name for name in names if name != "lang"]) for tag, names in each.shape]

    assert shape(page) == shape(english)
    assert VOID  # void elements are known to the reader, or the shapes would not mean anything


@pytest.mark.parametrize("code", TRANSLATED)
@pytest.mark.parametrize("make", ALL)
def test_the_other_formats_speak_too(make: Callable[[], RunRecord], code: str) -> None:
    record = make().to_json()
    with speaking(code):
        lines, xml = summarize(record), junit.render(Material(record)).decode()
        assert say("summary.next_steps") in lines
        assert wording.totals_sentence(record) in xml
    assert lines[0] != summarize(record)[0]


def test_german_counts_spells_and_agrees() -> None:
    record = records.not_conformant().to_json()
    with speaking("de"):
        assert wording.outcome_sentence(record) == (
            "birth-registry 1.2 von Example Registries Ltd ist nicht konform mit dem Profil mesh: "
            "1 von 11 verpflichtenden Prüfungen wurde nicht bestanden, 1 (nicht bestanden) ist durch eine Ausnahme "
            "gedeckt, 1 ergab keinen Nachweis und 1 Ausnahme wird nicht benötigt."
        )
        assert count(1_200, "check") == "1.200 Prüfungen"
        assert count(1, "check") == "1 Prüfung"
        assert series(["a", "b", "c"]) == "a, b und c"
        assert cut("abc", 1) == "a … 2 weitere Zeichen"
        assert wording.utc("2026-11-03T14:02:07.250Z") == "03.11.2026, 14:02:07 UTC"
        assert wording.seconds(2.14) == "2,1 s"
        assert language.day("2027-01-31") == "31.01.2027"
        assert language.day("someday") == "someday"
        assert wording.WAIVER_WORDS[WaiverState.APPLIED] == "angewandt"


def test_a_language_that_is_not_there_is_refused_and_a_chosen_one_ends_with_its_block() -> None:
    with pytest.raises(UsageError, match="do not speak 'xx'") as caught, speaking("xx"):
        pass
    assert "en" in caught.value.next_step
    with pytest.raises(UsageError), speaking("../languages/de"):
        pass
    with speaking("de"):
        assert current().code == "de"
    assert current().code == "en"


def test_braces_from_outside_are_no_placeholders() -> None:
    record = records.conformant().to_json()
    record["subject"]["name"] = "{because} {0} {subject.__class__}"
    assert wording.outcome_sentence(record).startswith("{because} {0} {subject.__class__} 1.2")
    assert "{because} {0} {subject.__class__}" in html.render(Material(record)).decode()
