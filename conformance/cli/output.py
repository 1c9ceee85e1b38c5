"""What is printed, when nobody reads it any more: after `| head`, or when Ctrl-C has ended a pager as well.

A command then goes on in silence, and ends with the exit code that it has earned: whoever closed the pipe has not said
that a run is to be given up, and must not turn its outcome into another one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

__all__ = ["going_on_unheard"]

T = TypeVar("T")


class _Unheard:
    """A stream that turns silent, instead of raising, when its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._silenced(lambda: self._stream.write(text), len(text))

    def flush(self) -> None:
        self._silenced(self._stream.flush, None)

    def _silenced(self, printing: Callable[[], T], otherwise: T) -> T:
        try:
            return printing()
        except BrokenPipeError:
            # What the stream still keeps goes there too, at the latest when Python ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            return otherwise


@contextmanager
def going_on_unheard() -> Iterator[None]:
    """Both outputs, until the end of the block."""
    heard = sys.stdout, sys.stderr
    # Python has no stream at all where it was started with one closed (`>&-`).
    unheard = [_Unheard(stream) if stream is not None else None for stream in heard]
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in unheard)
    try:
        yield
    finally:
        for stream in unheard:
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = heard
