"""report.pdf is PDF/UA-1 (ISO 14289-1): veraPDF, the reference validator, finds nothing, but finds what we break."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, StreamObject

from conformance.model.errors import EnvironmentFault
from conformance.model.record import RunRecord
from conformance.report.language import languages, speaking
from conformance.report.material import Material

from . import hostile, records

try:
    from conformance.report.pdf import render
except EnvironmentFault as fault:
    if os.environ.get("MESHMARK_REQUIRE_PDF") == "1":
        raise
    pytest.skip(fault.what, allow_module_level=True)

pytestmark = pytest.mark.timeout(600)

HERE = Path(__file__).parent / "verapdf"
ALL = [records.conformant, records.not_conformant, records.interrupted]
HOSTILE = ["html", "controls", "direction", "dollar", "yaml", "unknown"]
"""Names of hostile texts. Not those of very many characters, which take minutes."""
UNKNOWN = "Registry \U0010fffd \U00010348"
"""Of a writing that no font has."""
FEWEST_ASSERTIONS = 5_000
"""What veraPDF looks at in the smallest report is twice as much."""


@dataclass(frozen=True)
class Judgement:
    """What veraPDF says about one file; `broken` has the rules by clause and number of the test, and what is wrong."""

    compliant: bool
    assertions: int
    broken: dict[str, str]


@dataclass(frozen=True)
class VeraPdf:
    """The validator: its class path, and a Java that also compiles."""

    class_path: str
    java: str

    def judge(self, files: Iterable[Path]) -> dict[str, Judgement]:
        """By the name of the file without its suffix."""
        command = [self.java, "-cp", self.class_path, str(HERE / "Validate.java"), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        judgements: dict[str, Judgement] = {}
        broken: dict[str, str] = {}
        for line in done.stdout.splitlines():
            file, kind, first, second = line.split("\t")
            if kind == "broken":
                broken[first] = second
            else:
                judgements[Path(file).stem] = Judgement(second == "true", int(first), broken)
                broken = {}
        return judgements


def _missing(why: str) -> None:
    if os.environ.get("MESHMARK_REQUIRE_VERAPDF") == "1":
        pytest.fail(f"MESHMARK_REQUIRE_VERAPDF=1, but {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def verapdf(tmp_path_factory: pytest.TempPathFactory) -> VeraPdf:
    """The version that `verapdf/pom.xml` names, from Maven's registry or from what Maven keeps."""
    maven, java = shutil.which("mvn"), shutil.which("java")
    if maven is None or java is None or shutil.which("javac") is None:
        _missing("there is no Maven, or no Java that compiles")
    listed = tmp_path_factory.mktemp("verapdf") / "class-path"
    # Maven keeps what it fetches in one folder of the user's, and other workers may be about to fetch it, too.
    with (tmp_path_factory.getbasetemp().parent / "maven.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [
                str(maven),
                "-B",
                "-q",
                "-f",
                HERE / "pom.xml",
                "dependency:build-classpath",
                f"-Dmdep.outputFile={listed}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        _missing(f"Maven brings no veraPDF: {(done.stdout + done.stderr)[-2_000:]}")
    return VeraPdf(listed.read_text("utf-8").strip(), str(java))


def drawn(record: RunRecord, code: str = "en") -> bytes:
    with speaking(code):
        return render(Material(record.to_json()))


def of_many_contracts() -> RunRecord:
    """Facts over many pages, whose names take two lines: some of them meet the end of a page."""
    record = records.conformant()
    contracts = [{"path": f"contracts/a-rather-long-name-{number}.yaml", "sha256": "ab" * 32} for number in range(80)]
    return replace(record, subject={**record.subject, "contracts": contracts})


@pytest.fixture(scope="module")
def judgements(verapdf: VeraPdf, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judgement]:
    """All documents in one go: starting Java costs more than judging."""
    folder = tmp_path_factory.mktemp("documents")
    documents = {f"{make.__name__}-{code}": drawn(make(), code) for make in ALL for code in languages()}
    documents["contracts"] = drawn(of_many_contracts())
    texts = hostile.TEXTS | {"unknown": UNKNOWN}
    for name in HOSTILE:
        documents[name] = render(Material(hostile.spoilt(records.not_conformant(), texts[name])))
    original = documents["not_conformant-en"]
    documents["copied"] = changed(original, lambda writer: None)
    documents |= {name: changed(original, breaking) for name, (breaking, _) in BREAKINGS.items()}
    for name, data in documents.items():
        (folder / f"{name}.pdf").write_bytes(data)
    return verapdf.judge(sorted(folder.iterdir()))


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("make", ALL)
def test_every_record_in_every_language_is_pdf_ua(
    judgements: dict[str, Judgement], make: Callable[[], RunRecord], code: str
) -> None:
    judgement = judgements[f"{make.__name__}-{code}"]
    assert judgement.broken == {}
    assert judgement.compliant
    assert judgement.assertions > FEWEST_ASSERTIONS


@pytest.mark.parametrize("name", ["contracts", *HOSTILE])
def test_no_text_and_no_length_breaks_a_rule(judgements: dict[str, Judgement], name: str) -> None:
    judgement = judgements[name]
    assert judgement.broken == {}
    assert judgement.compliant
    assert judgement.assertions > FEWEST_ASSERTIONS


def changed(document: bytes, change: Callable[[PdfWriter], object]) -> bytes:
    """The document, written by somebody else, with a change."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(document)))
    change(writer)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def elements(writer: PdfWriter, kind: str) -> list[DictionaryObject]:
    found: list[DictionaryObject] = []

    def walk(node: Any) -> None:
        node = node.get_object()
        if isinstance(node, ArrayObject):
            for each in node:
                walk(each)
        elif isinstance(node, DictionaryObject):
            if node.get("/S") == kind:
                found.append(node)
            if "/K" in node:
                walk(node["/K"])

    walk(writer.root_object["/StructTreeRoot"])
    assert found
    return found


def without_tags(writer: PdfWriter) -> None:
    del writer.root_object["/StructTreeRoot"]


def without_title(writer: PdfWriter) -> None:
    metadata: Any = writer.root_object["/Metadata"].get_object()
    text = metadata.get_data().decode()
    start, end = text.index("<dc:title"), text.index("</dc:title>") + len("</dc:title>")
    replaced = StreamObject()
    replaced.update({NameObject("/Type"): NameObject("/Metadata"), NameObject("/Subtype"): NameObject("/XML")})
    replaced.set_data((text[:start] + text[end:]).encode())
    writer.root_object[NameObject("/Metadata")] = writer._add_object(replaced)


def without_language(writer: PdfWriter) -> None:
    del writer.root_object["/Lang"]


def without_alternative_text(writer: PdfWriter) -> None:
    for figure in elements(writer, "/Figure"):
        del figure["/Alt"]


def without_first_heading(writer: PdfWriter) -> None:
    for heading in elements(writer, "/H1"):
        heading[NameObject("/S")] = NameObject("/H3")


def without_lists(writer: PdfWriter) -> None:
    for each in elements(writer, "/L"):
        each[NameObject("/S")] = NameObject("/Sect")


def without_claim(writer: PdfWriter) -> None:
    del writer.root_object["/Metadata"]


BREAKINGS: dict[str, tuple[Callable[[PdfWriter], object], str]] = {
    "no tags": (without_tags, "7.1-11"),
    "no title": (without_title, "7.1-9"),
    "no language": (without_language, "7.2-34"),
    "no alternative text": (without_alternative_text, "7.3-1"),
    "no first heading": (without_first_heading, "7.4.2-1"),
    "no lists": (without_lists, "7.2-17"),
    "no claim": (without_claim, "7.1-8"),
}
"""What is taken away, and the rule that this breaks: clause of ISO 14289-1 and veraPDF's number of the test."""


def test_a_faithful_copy_is_pdf_ua(judgements: dict[str, Judgement]) -> None:
    assert judgements["copied"].broken == {}
    assert judgements["copied"].compliant


@pytest.mark.parametrize("name", BREAKINGS)
def test_what_we_break_is_found(judgements: dict[str, Judgement], name: str) -> None:
    judgement = judgements[name]
    assert not judgement.compliant
    assert BREAKINGS[name][1] in judgement.broken
