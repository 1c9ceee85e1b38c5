"""report.pdf is tagged, tells all that failed, is the same each time, and reaches out to nothing."""

from __future__ import annotations

import io
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.record import RunRecord
from conformance.model.verdict import Verdict
from conformance.report import wording
from conformance.report.findings import attention
from conformance.report.formats import ensure_available, write_reports
from conformance.report.language import languages, say, speaking
from conformance.report.material import Material

from . import records

try:
    from conformance.report.pdf import MOST_LISTED, MOST_TOLD, _refuse, render
except EnvironmentFault as fault:
    if os.environ.get("MESHMARK_REQUIRE_PDF") == "1":
        raise
    pytest.skip(fault.what, allow_module_level=True)

ALL = [records.conformant, records.not_conformant, records.interrupted]


def read(record: RunRecord) -> PdfReader:
    return PdfReader(io.BytesIO(render(Material(record.to_json()))))


def words_of(document: PdfReader) -> str:
    return re.sub(r"\s+", "", "".join(page.extract_text() for page in document.pages))


def plain(text: str) -> str:
    return re.sub(r"\s+", "", text)


def elements(document: PdfReader) -> Iterator[DictionaryObject]:
    """The structure tree, in reading order."""

    def walk(node: Any) -> Iterator[DictionaryObject]:
        node = node.get_object()
        if isinstance(node, ArrayObject):
            for each in node:
                yield from walk(each)
        elif isinstance(node, DictionaryObject):
            if "/S" in node:
                yield node
            if "/K" in node:
                yield from walk(node["/K"])

    yield from walk(document.trailer["/Root"]["/StructTreeRoot"]["/K"])


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("make", ALL)
def test_a_document_is_tagged_as_pdf_ua_asks(make: Callable[[], RunRecord], code: str) -> None:
    record = make()
    with speaking(code):
        document = read(record)
        title = wording.OUTCOME_WORDS[record.outcome]
    root: Any = document.trailer["/Root"]
    assert root["/Lang"] == code
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert document.metadata is not None
    assert str(document.metadata.title).startswith(title)
    assert str(document.metadata.creation_date) == "2026-11-03 14:03:41+00:00"
    xmp = root["/Metadata"].get_object().get_data().decode()
    assert re.search(r'pdfuaid:part(="1"|>1<)', xmp)
    assert title in xmp

    tags = [str(each["/S"]) for each in elements(document)]
    headings = [int(tag[2]) for tag in tags if re.fullmatch(r"/H[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    for figure in (each for each in elements(document) if each["/S"] == "/Figure"):
        assert plain(str(figure["/Alt"])) in words_of(document)
    assert tags.count("/Figure") == 1
    assert tags.count("/Table") >= 2
    cells = [each for each in elements(document) if each["/S"] == "/TD"]
    assert cells
    assert all(each["/A"]["/Headers"] for each in cells)  # type: ignore[index]
    assert all(page.get("/StructParents") is not None for page in document.pages)


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("make", ALL)
def test_everything_that_failed_is_told_and_what_to_do(make: Callable[[], RunRecord], code: str) -> None:
    record = make()
    with speaking(code):
        document = read(record)
        words = words_of(document)
        values = record.to_json()
        sentences = [wording.outcome_sentence(values), wording.totals_sentence(values), *wording.next_steps(values)]
        sentences += [wording.waiver_sentence(waiver) for waiver in values["waivers"] if waiver["state"] == "applied"]
        for sentence in sentences:
            assert plain(sentence) in words
        assert plain(say("pdf.page_of", page=len(document.pages), number=len(document.pages))) in words
    for result in record.results:
        assert plain(result.title) in words
        if result.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE):
            for text in (result.expected, result.seen, result.reason, result.next_step.replace("`", "")):
                assert plain(text) in words


def test_the_same_record_gives_the_same_bytes() -> None:
    material = Material(records.not_conformant().to_json())
    first = render(material)
    with speaking("de"):
        assert render(material) != first
    assert render(material) == first


def test_nothing_is_asked_of_the_network_and_nothing_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_network(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    logging.getLogger("weasyprint").propagate = True
    record = records.not_conformant()
    hostile = '<img src="http://mesh.test/x.png"><link rel=stylesheet href="http://mesh.test/x.css">'
    spoilt = replace(record, trouble=hostile, results=(replace(record.results[0], seen=hostile), *record.results[1:]))
    with caplog.at_level(logging.WARNING):
        words = words_of(read(spoilt))
    assert plain(hostile) in words
    assert caplog.records == []
    with pytest.raises(BaseException, match="loads nothing"):
        _refuse("file:///etc/hostname")


@pytest.mark.parametrize(
    "hostile", ["\x00\x1b[31m", "\u202egnp.exe \u2067", "<script>alert(1)</script>", "x" * 200_000]
)
def test_hostile_text_breaks_no_document(hostile: str) -> None:
    record = records.not_conformant()
    first, *rest = record.results
    huge = replace(first, seen=hostile, expected=hostile, title=hostile, next_step=hostile, reproduce=hostile)
    subject = {**record.subject, "name": hostile[:5_000], "vendor": hostile[:5_000]}
    document = read(replace(record, results=(huge, *rest), subject=subject, trouble=hostile, run_file=hostile))
    assert len(document.pages) < 40
    assert document.metadata is not None
    assert not re.search("[\x00-\x1f\u202a-\u202e\u2066-\u2069]", str(document.metadata.title))


def test_a_character_that_no_font_has_is_named() -> None:
    record = records.not_conformant()
    first, *rest = record.results
    name = "Registry \U0010fffd"
    spoilt = replace(
        record, results=(replace(first, seen="no \U0010fffe here"), *rest), subject={**record.subject, "name": name}
    )
    document = read(spoilt)
    assert plain("no [U+10FFFE] here") in words_of(document)
    assert plain("Registry [U+10FFFD]") in words_of(document)
    assert document.metadata is not None
    assert name in str(document.metadata.title)


def test_more_fails_than_paper_likes_are_counted() -> None:
    plan = tuple(
        records.entry(f"MTLS-{number:03d}", "Something holds", ["MTLS-R1"], records.ANONYMOUS.level)
        for number in range(MOST_TOLD + 7)
    )
    record = records.record(plan, tuple(records.judged(each, Verdict.FAIL, reason="wrong") for each in plan))
    assert len(attention(record.to_json())) == MOST_TOLD + 7
    words = words_of(read(record))
    assert plain("7 more checks need attention") in words
    assert all(entry.check.id in words for entry in plan)


def test_of_very_many_checks_those_that_failed_are_listed_first() -> None:
    plan = tuple(
        records.entry(f"MTLS-{number:03d}", "Something holds", ["MTLS-R1"], records.ANONYMOUS.level)
        for number in range(MOST_LISTED + 20)
    )
    results = tuple(
        records.judged(each, Verdict.FAIL if number % 3 == 2 else Verdict.PASS) for number, each in enumerate(plan)
    )
    words = words_of(read(records.record(plan, results)))
    assert all(result.check in words for result in results if result.verdict is Verdict.FAIL)
    assert plain("20 more checks are listed in record.json") in words


@pytest.fixture
def without_weasyprint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "conformance.report.pdf")


@pytest.mark.usefixtures("without_weasyprint")
def test_without_the_extra_the_next_step_is_named_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(UsageError, match="WeasyPrint, which is not installed") as caught:
        write_reports(Material(records.conformant().to_json()), tmp_path, ["pdf"])
    assert "meshmark[pdf]" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError):
        ensure_available(["html", "pdf"])


@pytest.mark.usefixtures("without_weasyprint")
def test_without_pango_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weasyprint.py").write_text("raise OSError(\"cannot load library 'libpango-1.0-0'\")")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvironmentFault, match="libraries of the system") as caught:
        ensure_available(["pdf"])
    assert "libpango-1.0-0" in str(caught.value.detail)
    assert "apt-get install libpango-1.0-0" in caught.value.next_step
