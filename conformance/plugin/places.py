"""Where to look first for a result: a line of the contract for what the contract is judged by, else of the run file.

Invariant: a place is found from what stands in the result, the run file and the contracts; nothing is read or judged
again, so it does not matter on which worker a check ran.
"""

from __future__ import annotations

import re
from functools import cached_property

from conformance.model.check import Check
from conformance.model.requirements import Area
from conformance.model.verdict import Place, Result
from conformance.plugin.loading import LoadedRun, named_files

__all__ = ["Places"]

LONGEST_SEARCH = 100_000
"""Characters of what was seen in which a place is looked for."""


class Places:
    """The places of one run's results."""

    def __init__(self, loaded: LoadedRun) -> None:
        self._loaded = loaded

    def of(self, check: Check, result: Result) -> Place:
        """The place of a result.

        A check of the contract: the place or the operation that is named first in what was seen, else the first line of
        the first contract. Any other check: the first feature of the run file that it needs, else the subject.
        """
        if check.area == Area.API:
            return self._named(result) or Place(self._loaded.run_file.subject.contracts[0], 1, 1)
        for number, feature in enumerate(self._loaded.run_file.features):
            if feature in check.needs:
                return self._in_run_file("features", number)
        return self._in_run_file("subject")

    def _in_run_file(self, *path: str | int) -> Place:
        position = self._loaded.document.key_position(path)
        return Place(self._loaded.path.name, position.line, position.column)

    def _named(self, result: Result) -> Place | None:
        found = self._pattern.search(result.seen, 0, LONGEST_SEARCH)
        if found is None:
            return None
        if found["file"]:
            return Place(self._files[found["file"]], int(found["line"]), int(found["column"]))
        return self._operations[found["operation"]]

    @cached_property
    def _files(self) -> dict[str, str]:
        """The name of each contract's file in the record, by that in messages."""
        loaded = self._loaded
        pairs = zip(loaded.run_file.subject.contracts, loaded.contracts, strict=True)
        return {file.path: name for written, contract in pairs for file, name in named_files(written, contract)}

    @cached_property
    def _operations(self) -> dict[str, Place]:
        """Where each operation stands, by method and path; of equal ones the first."""
        places: dict[str, Place] = {}
        for contract in self._loaded.contracts:
            for operation in contract.operations:
                file, line, column = operation.location.rsplit(":", 2)
                places.setdefault(operation.key, Place(self._files[file], int(line), int(column)))
        return places

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """A place in a contract, or an operation; the longest first, for one path may begin with another."""
        files = "|".join(map(re.escape, sorted(self._files, key=len, reverse=True)))
        operations = "|".join(map(re.escape, sorted(self._operations, key=len, reverse=True))) or "(?!)"
        return re.compile(
            rf"(?P<file>{files}):(?P<line>[1-9]\d{{0,8}}):(?P<column>[1-9]\d{{0,8}})"
            rf"|(?<!\w)(?P<operation>{operations})(?![^\s:;,)])"
        )
