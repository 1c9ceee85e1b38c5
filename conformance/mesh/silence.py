"""A service that hangs: connections to it succeed and whatever is sent is taken, but nobody reads it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from conformance.protobuf.listen import UnixListen

__all__ = ["silent_service"]


@contextmanager
def silent_service(listen: UnixListen) -> Iterator[None]:
    """Somebody listens at this address until the end of the block, as a stopped process does.

    Connections wait to be accepted, which never happens, and end with the block.
    """
    listen.path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(str(listen.path))
        waiting.listen()
        listen.hand_over()
        yield
