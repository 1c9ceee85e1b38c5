"""The command `meshmark`. Each subcommand is a module of its own, imported when it is called."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from conformance import __version__
from conformance.cli.lazy import LazyGroup
from conformance.cli.output import going_on_unheard
from conformance.model.errors import ExitCode, MeshmarkError

__all__ = ["main"]


@click.group(
    cls=LazyGroup,
    commands_in={
        "attest": "conformance.cli.attest",
        "catalogue": "conformance.cli.catalogue",
        "certify": "conformance.cli.certify",
        "compare": "conformance.cli.compare",
        "doctor": "conformance.cli.doctor",
        "image": "conformance.cli.image",
        "init": "conformance.cli.init",
        "keys": "conformance.cli.keys",
        "mesh": "conformance.cli.mesh",
        "policy": "conformance.cli.policy",
        "registry": "conformance.cli.registry",
        "report": "conformance.cli.report",
        "revoke": "conformance.cli.revoke",
        "selftest": "conformance.cli.selftest",
        "serve": "conformance.cli.serve",
        "verify": "conformance.cli.verify",
        "waiver": "conformance.cli.waiver",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="meshmark")
def meshmark() -> None:
    """Conformance and interoperability tests for building blocks behind Envoy security servers.

    Exit codes: 0 conformant, 1 not conformant, 2 usage or run-file error, 3 environment error, 4 incomplete, 130
    interrupted.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; every known error becomes its message and its exit code, never a stack trace."""
    with going_on_unheard():
        sys.exit(_exit_code(arguments))


def _exit_code(arguments: list[str] | None) -> int:
    try:
        code = meshmark.main(args=arguments, prog_name="meshmark", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return ExitCode.USAGE
    except MeshmarkError as problem:
        click.echo(f"meshmark: {problem}", err=True)
        return problem.exit_code
    return int(code or 0)
