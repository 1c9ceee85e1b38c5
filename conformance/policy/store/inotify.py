"""Notices at once that a file was touched, by Linux's inotify(7), which Python's library does not have.

Invariant: what is told is only that something may have happened; nobody is told twice for nothing but harmlessly.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["watch_touches"]

ATTRIBUTES_CHANGED = 0x4
EVENTS_AT_ONCE = 64 * 1024


async def watch_touches(path: Path, wake: Callable[[], None]) -> None:
    """Call `wake` whenever the file's times are set, until cancelled.

    Raises:
        OSError: the system does not watch it: too many watches, or a file system that cannot.

    """
    descriptor = _watching(path)
    loop = asyncio.get_running_loop()

    def touched() -> None:
        # Several touches at once are one piece of news, so what is read does not matter.
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, EVENTS_AT_ONCE)
        wake()

    try:
        loop.add_reader(descriptor, touched)
        # What happened before it was watched is news, too.
        wake()
        await loop.create_future()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _watching(path: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise _last_error(path)
    if libc.inotify_add_watch(descriptor, os.fsencode(path), ATTRIBUTES_CHANGED) < 0:
        error = _last_error(path)
        os.close(descriptor)
        raise error
    return descriptor


def _last_error(path: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(path))
