"""`meshmark serve`: the services of the reference system, each as a process of its own.

A service prints one line to standard output once it serves, its log goes to standard error, and SIGTERM or SIGINT let
what is under way end. Exit codes: 0 told to stop, 2 wrong options or files, 3 a store or an address cannot be used.
"""

from __future__ import annotations

import click

from conformance.cli.lazy import LazyGroup

__all__ = ["command"]


@click.group(
    name="serve",
    cls=LazyGroup,
    commands_in={
        "authentication": "conformance.cli.serve.authentication",
        "control-plane": "conformance.cli.serve.control_plane",
        "policy-admin": "conformance.cli.serve.policy_admin",
    },
)
def command() -> None:
    """One service of the reference system, as a process of its own."""
