"""A building block that calls another one before it answers, as the witness does when it is told to.

Invariant: it does with the headers of a call what a building block without tracing of its own has to do: it passes the
trace context (W3C Trace Context section 2.4) and the ids of the call on as they came, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import h11

from conformance.model.policy import Endpoint
from conformance.system.location import HERE, Location

__all__ = ["NONCE_HEADER", "PASSED_ON", "Onward", "call_onward"]

NONCE_HEADER = "x-meshmark-nonce"
"""Ties a call to what was seen of it: in the witness's arrivals and in every access log on the way."""

PASSED_ON = frozenset({"traceparent", "tracestate", "x-request-id", "x-correlation-id", NONCE_HEADER})
READ_SIZE = 64 * 1024
LONGEST_CONNECT_S = 5.0
"""As for security servers; a whole call has other limits."""


@dataclass(frozen=True)
class Onward:
    """The call to make: through which security server, and for what. It is a POST, which nobody repeats."""

    through: Endpoint
    target: str
    come_from: Location = HERE


async def call_onward(onward: Onward, headers: Iterable[tuple[str, str]]) -> int:
    """Make the call; gives the status of its answer.

    Raises:
        ConnectionError: the security server cannot be reached, or ends the connection without an answer.

    """
    there = onward.through
    reader, writer = await onward.come_from.open_connection(there.host, there.port, timeout=LONGEST_CONNECT_S)
    with closing(writer):
        connection = h11.Connection(h11.CLIENT)
        sent = [("host", "mesh"), ("content-length", "0"), ("connection", "close")]
        sent += [(name, value) for name, value in headers if name in PASSED_ON]
        request = h11.Request(method="POST", target=onward.target, headers=sent)
        for part in (request, h11.EndOfMessage()):
            writer.write(connection.send(part) or b"")
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_SIZE))
            elif isinstance(event, h11.Response):
                return event.status_code
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("the connection ended without an answer")
