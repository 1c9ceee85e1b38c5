"""The commands tell what they take, and what they are."""

from __future__ import annotations

from importlib.metadata import version

import click
import pytest
from click.testing import CliRunner
from workplace import Workplace

import conformance
from conformance.cli.main import meshmark


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command and group below a group."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


@pytest.mark.parametrize("path", commands(meshmark), ids=" ".join)
def test_every_command_and_every_option_is_explained(path):
    command: click.Command = meshmark
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command.help
    assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []
    shown = CliRunner().invoke(meshmark, [*path, "--help"])
    assert shown.exit_code == 0
    assert command.help.splitlines()[0] in " ".join(shown.output.split())
    for each in command.params:
        assert isinstance(each, click.Argument) or max(each.opts, key=len) in shown.output


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_all_commands_and_the_exit_codes(option, workplace: Workplace):
    finished = workplace.meshmark(option)
    assert finished.code == 0
    for name, *_ in commands(meshmark):
        assert f"\n  {name} " in finished.out
    for code in ("0 conformant", "1 not conformant", "2 usage", "3 environment", "4 incomplete", "130 interrupted"):
        assert code in " ".join(finished.out.split())


def test_the_version_is_that_of_the_distribution(workplace: Workplace):
    finished = workplace.meshmark("--version")
    assert finished.code == 0
    assert finished.out == f"meshmark, version {conformance.__version__}\n"
    assert conformance.__version__ == version("meshmark")
