"""Links lead somewhere, code can be read, and nothing tells on the machine it was written on."""

from __future__ import annotations

import re

import pytest

from conformance.model.run_file import parse_run_file
from conformance.model.yaml_source import parse_yaml

from .documents import NAMES, REPOSITORY, Block, Document, blocks, document, documents

RUN_FILES = [block for block in blocks("yaml") if re.search(r"^subject:", block.text, re.MULTILINE)]
MACHINE_PATH = re.compile(r"(?<![\w.{}])/(?:home|root|work|tmp|Users|usr|opt|var)\b")
ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1|\{)[^\s`)]+")


@pytest.mark.parametrize("each", documents(), ids=lambda each: each.name)
def test_links_lead_to_files_and_headings_that_exist(each: Document) -> None:
    for target in each.links:
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / each.name).parent / path if path else REPOSITORY / each.name
        assert file.exists(), f"{each.name}: {target}"
        if anchor:
            linked = document(file.resolve().relative_to(REPOSITORY).as_posix())
            assert anchor in linked.headings, f"{each.name}: {target}"


def test_the_table_of_contents_of_the_readme_leaves_no_great_section_out() -> None:
    readme = document("README.md")
    contents = {target.removeprefix("#") for target in readme.links if target.startswith("#")}
    great = [line.removeprefix("## ") for line in readme.prose if line.startswith("## ")]
    anchors = {text: anchor for anchor, text in readme.headings.items()}
    missing = [text for text in great if anchors[text] not in contents]
    assert missing == ["The mesh", "Two commands", "More"]


@pytest.mark.parametrize("block", RUN_FILES, ids=str)
def test_a_run_file_that_is_shown_is_one(block: Block) -> None:
    parse_run_file(block.text, REPOSITORY / "shown.meshmark.yaml")


@pytest.mark.parametrize("block", [each for each in blocks("yaml") if each not in RUN_FILES], ids=str)
def test_other_yaml_that_is_shown_can_be_read(block: Block) -> None:
    assert isinstance(parse_yaml(block.text, source=str(block)).value, dict)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_that_is_shown_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_every_block_of_code_says_what_it_is() -> None:
    assert {block.language for each in documents() for block in each.blocks} <= {"python", "sh", "text", "toml", "yaml"}


@pytest.mark.parametrize("name", [*NAMES, "action.yml", "Makefile", "conformance/model/run_file.schema.json"])
def test_nothing_names_a_path_of_a_machine_or_an_address_out_there(name: str) -> None:
    text = (REPOSITORY / name).read_text("utf-8")
    assert MACHINE_PATH.findall(text) == []
    addresses = [found for found in ADDRESS.findall(text) if ".example" not in found]
    assert [found for found in addresses if not found.startswith("https://json-schema.org/")] == []


def test_pictures_are_small_and_described() -> None:
    readme = document("README.md")
    described = re.findall(r"!\[(.*?)\]\((.+?)\)", readme.text)
    assert described
    for text, path in described:
        assert len(text) > 20
        assert (REPOSITORY / path).stat().st_size < 200_000


def test_the_changelog_begins_with_this_version() -> None:
    from conformance import __version__  # noqa: PLC0415

    changelog = document("CHANGELOG.md")
    versions = [line.removeprefix("## ").split()[0] for line in changelog.prose if line.startswith("## ")]
    assert versions[0] == __version__
