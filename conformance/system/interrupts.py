"""Short work that an interrupt must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Held", "interrupts_held"]

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Held:
    """Whether an interrupt came meanwhile."""

    came = False


@contextmanager
def interrupts_held() -> Iterator[Held]:
    """Let the first interrupt wait, for the caller to see afterwards; a second one counts at once, as it always would.

    Elsewhere than in the main thread nothing is held, because no interrupt comes there.
    """
    held = Held()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    usual = {number: signal.getsignal(number) for number in INTERRUPTS}

    def note(number: int, frame: FrameType | None) -> None:
        first, held.came = not held.came, True
        then = usual[signal.Signals(number)]
        if not first and callable(then):
            then(number, frame)

    for number, then in usual.items():
        # What is ignored, or ends the process at once, or is not Python's, stays so.
        if callable(then):
            signal.signal(number, note)
    try:
        yield held
    finally:
        for number, then in usual.items():
            if callable(then):
                signal.signal(number, then)
