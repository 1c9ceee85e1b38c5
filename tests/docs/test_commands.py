"""Commands and options: every one that exists is documented, and every one that is documented exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from conformance.cli.main import meshmark
from conformance.plugin import entry
from conformance.report.formats import FORMATS

from .documents import REPOSITORY, Block, blocks, code, document, documents

README = document("README.md")
LONG_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def _commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


COMMANDS = dict(_commands(meshmark, "meshmark"))


def _options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


class PluginOptions:
    """Stands where pytest's parser stands, and writes down what the plugin declares."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, *_: str) -> PluginOptions:
        return self

    def addoption(self, name: str, **_: object) -> None:
        self.names.add(name)


def _plugin_options() -> set[str]:
    declared = PluginOptions()
    entry.pytest_addoption(declared)  # type: ignore[arg-type]
    return declared.names


def _lines(block: Block) -> list[list[str]]:
    """The commands of a block, as words, without comments."""
    return [words for line in block.text.splitlines() if (words := shlex.split(line, comments=True))]


SHELL = [words for block in blocks("sh") for words in _lines(block)]


def _called(program: str) -> list[list[str]]:
    return [words[1:] for words in SHELL if words[0].rpartition("/")[2] == program]


# ---------------------------------------------------------------------- meshmark


def test_every_command_has_its_section() -> None:
    headings = set(README.headings.values())
    assert {f"`{name}`" for name in COMMANDS} == {text for text in headings if text.startswith("`meshmark ")}


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_every_option_of_a_command_is_documented_and_no_other(name: str, command: click.Command) -> None:
    documented = [code(row[0]) for row in README.table(f"`{name}`", "option")]
    assert sorted(documented) == sorted(_options(command))


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_every_option_of_a_command_explains_itself(name: str, command: click.Command) -> None:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    silent = [option.opts[0] for option in options if not option.help and not isinstance(option.type, click.Choice)]
    assert silent == [], name


@pytest.mark.parametrize("words", _called("meshmark"), ids=" ".join)
def test_a_command_line_that_is_shown_can_be_parsed(words: list[str]) -> None:
    name, command = next(
        (name, each) for name, each in COMMANDS.items() if words[: name.count(" ")] == name.split()[1:]
    )
    command.make_context(name, words[name.count(" ") :])


def test_options_that_are_mentioned_in_passing_exist() -> None:
    known = {"--help", "--version", *(option for command in COMMANDS.values() for option in _options(command))}
    others = {"--lf", "--fault"}
    for each in documents():
        mentioned = {option for line in each.prose for option in LONG_OPTION.findall(line)}
        own = mentioned - _plugin_options() - known - others
        assert own <= ({"--port", "--database"} if each.name.startswith("fixtures/") else set()), each.name


def test_every_report_format_is_documented() -> None:
    rows = README.table("The reports", "format")
    assert {code(row[0]): code(row[1]) for row in rows} == {name: each.file_name for name, each in FORMATS.items()}


# ---------------------------------------------------------------------- pytest and make


def test_every_option_of_the_plugin_is_documented_and_no_other() -> None:
    rows = README.table("Running through plain pytest", "option")
    assert sorted(code(row[0]) for row in rows) == sorted(_plugin_options())


def test_pytest_is_shown_with_options_that_it_has() -> None:
    used = {word.partition("=")[0] for words in _called("pytest") for word in words if word.startswith("-")}
    assert used <= _plugin_options() | {"-k", "-m", "-n", "-q"}


def test_the_makefile_has_what_is_shown_and_what_it_has_is_known() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = {word for words in _called("make") for word in words}
    assert {"certify", "test"} <= shown <= targets


def test_programs_that_are_shown_are_few_and_their_files_exist() -> None:
    programs = {words[0].rpartition("/")[2] for words in SHELL}
    assert programs <= {".", "cp", "make", "meshmark", "pytest", "python", "python3.11"}
    # The folder `meshmark` of the first run is the checkout.
    files = {word.removeprefix("./") for words in SHELL for word in words if re.match(r"(\./)?meshmark/", word)}
    assert files
    for file in files:
        assert (REPOSITORY / file.removeprefix("meshmark/")).exists(), file
