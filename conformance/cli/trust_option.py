"""`--trust`, apart from what verifies: a run must start fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

__all__ = ["trust_option"]

Command = TypeVar("Command", bound=Callable[..., int])


def trust_option(*, required: bool = True) -> Callable[[Command], Command]:
    """`--trust`."""
    return click.option(
        "--trust",
        type=click.Path(path_type=Path),
        multiple=True,
        required=required,
        help="A public key, NAME.pub.pem, whose signatures count, or a folder of them. Repeatable.",
    )
