"""The decision log: one JSON line for each decision, written without making anybody wait.

Invariants: a line holds no token, no query and no header but the three ids by which lines of different logs are found
together; a disk that is slow or full holds up no call: what cannot be written is counted.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from conformance.authn.call import Call, Decision

__all__ = ["DecisionLog", "Line", "line_of"]

log = logging.getLogger(__name__)

KEPT = 200
WAITING_AT_MOST = 50_000
LONGEST_TEXT = 256
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


@dataclass(frozen=True)
class Line:
    """One decision.

    Attributes:
        time: ISO 8601 in UTC.
        trace_id, correlation_id, request_id: from `traceparent`, `x-correlation-id` and `x-request-id`.
        direction, server, caller, service: who calls what, and where.
        operation: method and path template where a rule about operations decided, else method and path.
        decision: `allowed` or `refused`.
        reason: the code of the reason.
        policy, store_version: by which policies.

    """

    time: str
    trace_id: str
    correlation_id: str
    request_id: str
    direction: str
    server: str
    caller: str
    service: str
    operation: str
    decision: str
    reason: str
    policy: str
    store_version: int


def line_of(call: Call, decision: Decision, now: float) -> Line:
    """What is noted about a decision; `now` is in seconds since 1970."""
    trace = TRACEPARENT.fullmatch(call.headers.get("traceparent", ""))
    return Line(
        time=datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        trace_id=trace[1] if trace else "",
        correlation_id=_short(call.headers.get("x-correlation-id", "")),
        request_id=_short(call.headers.get("x-request-id", "")),
        direction=_short(call.direction),
        server=_short(call.server),
        caller=decision.caller or _short(call.principal),
        service=_short(call.service),
        operation=decision.operation or _short(f"{call.method} {call.path.partition('?')[0]}"),
        decision="allowed" if decision.allowed else "refused",
        reason=decision.reason.value,
        policy=decision.policy,
        store_version=decision.store_version,
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "..."


class DecisionLog:
    """Takes lines on the event loop, and writes them in a thread of its own.

    Attributes:
        recent: the last decisions, newest last.
        lost: how many lines could not be written.

    """

    def __init__(self, path: Path | None = None, listener: Callable[[Line], object] | None = None) -> None:
        """Write to the end of a file, hand each line to a listener on the event loop, or both."""
        self.recent: deque[Line] = deque(maxlen=KEPT)
        self.lost = 0
        self._path = path
        self._listener = listener
        self._waiting: queue.Queue[Line | None] = queue.Queue(WAITING_AT_MOST)
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """From now on lines are written."""
        if self._path is not None and self._writer is None:
            self._writer = threading.Thread(
                target=self._write_all, args=(self._path,), name="decision log", daemon=True
            )
            self._writer.start()

    def add(self, line: Line) -> None:
        """Note a decision."""
        self.recent.append(line)
        if self._listener is not None:
            self._listener(line)
        if self._writer is not None:
            try:
                self._waiting.put_nowait(line)
            except queue.Full:
                self.lost += 1

    def stop(self) -> None:
        """Return when every line has been written."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._waiting.put(None)
            writer.join()

    def _write_all(self, path: Path) -> None:
        while (line := self._waiting.get()) is not None:
            lines = [line]
            ended = False
            while not self._waiting.empty() and not ended:
                further = self._waiting.get()
                ended = further is None
                if further is not None:
                    lines.append(further)
            self._write(path, lines)
            if ended:
                return

    def _write(self, path: Path, lines: list[Line]) -> None:
        try:
            # Opened anew each time, so that a file which was moved away by log rotation is followed by a new one.
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(vars(line)) + "\n" for line in lines))
        except OSError as problem:
            if not self.lost:
                log.warning("the decision log cannot be written: %s", problem)
            self.lost += len(lines)
