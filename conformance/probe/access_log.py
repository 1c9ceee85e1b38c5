"""The access logs of security servers, as the checks read them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.mesh import Member

__all__ = ["AccessLog", "AccessLogs", "LogLine"]

LogLine = Mapping[str, Any]
"""One line: `kind` is `inbound` or `outbound` for a call, `connection` for a connection that has ended."""
INDEXED = ("nonce", "policy")
"""Fields by which lines are looked for again and again; the rarer one first."""


class AccessLog:
    """Lines in the order of their writing; a line that is only half written yet is left for the next look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._lines: list[LogLine] = []
        self._indexes: dict[str, defaultdict[object, list[LogLine]]] = {key: defaultdict(list) for key in INDEXED}

    def lines(self, **wanted: object) -> list[LogLine]:
        """The lines whose fields have these values, such as `kind="inbound", nonce=...`."""
        self._read_on()
        index = next((key for key in INDEXED if key in wanted), None)
        among = self._lines if index is None else self._indexes[index].get(wanted[index], [])
        return [line for line in among if all(line.get(key) == value for key, value in wanted.items())]

    def _read_on(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                news = file.read()
        except FileNotFoundError:
            return
        complete, newline, _ = news.rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        for text in complete.splitlines():
            line = json.loads(text)
            self._lines.append(line)
            for key, index in self._indexes.items():
                index[line.get(key)].append(line)


class AccessLogs:
    """Those of all members of a mesh."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._logs: dict[str, AccessLog] = {}

    def of(self, server: str) -> AccessLog:
        """That of one; always the same object, which reads on where it was read last."""
        if server not in self._logs:
            self._logs[server] = AccessLog(self._members[server].running.access_log)
        return self._logs[server]
