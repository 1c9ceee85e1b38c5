"""What lies beside a bundle: functions of files on the disk alone, so that any process can do them.

Invariants: a bundle is looked at again before it is used: it is the one that was found, or nothing is made.
"""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from conformance.model.errors import SuiteFault
from conformance.report.bundle import RECORD, Bundle, parse_bundle
from conformance.report.comparison import compare
from conformance.report.comparison_page import render as render_comparison
from conformance.report.formats import FORMATS
from conformance.report.language import current, speaking
from conformance.report.material import Material
from conformance.report.registry.site import Output

__all__ = ["NotShownError", "Source", "make_all"]

WORTH_PROCESSES = 48
"""Files that are made faster here than by processes which have to be started first."""
BATCH = 96


class NotShownError(Exception):
    """A bundle was read and adds up, and yet holds something of which no page can be made. Says which one, and why."""

    def __init__(self, digest: str, why: str) -> None:
        super().__init__(digest, why)
        self.digest = digest
        self.why = why


@dataclass(frozen=True)
class Source:
    """A bundle: where it lies, and the SHA-256 of its bytes."""

    place: Path
    digest: str

    def content(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: it is not what it was.

        """
        content = self.place.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise OSError(errno.EBUSY, f"{self.place} changed while the site was built")
        return content

    def bundle(self) -> Bundle:
        """What stands in it."""
        return _bundle(self)

    def record(self) -> bytes:
        """Its record, as it stands in it: its SHA-256 is the record's name."""
        return self.bundle().content[RECORD]

    def rendered(self, form: str) -> bytes:
        """A report of it."""
        try:
            return FORMATS[form].of(_material(self))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, SuiteFault) as error:
            raise NotShownError(self.digest, f"{type(error).__name__}: {error}") from error

    def changes_since(self, before: Source) -> bytes:
        """A comparison with an earlier one."""
        try:
            return render_comparison(compare(_material(before), _material(self)))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, SuiteFault) as error:
            raise NotShownError(self.digest, f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=4)
def _bundle(source: Source) -> Bundle:
    return parse_bundle(source.content(), str(source.place))


@lru_cache(maxsize=4)
def _material(source: Source) -> Material:
    return _bundle(source).material


def make_all(wanted: Sequence[Output]) -> Iterator[tuple[Output, bytes]]:
    """Make files, those that can be made apart by as many processes as there are processors, if that is worth it."""
    apart = [each for each in wanted if each.apart]
    if len(apart) < WORTH_PROCESSES or (os.cpu_count() or 1) == 1:
        yield from ((each, each.make()) for each in wanted)
        return
    yield from ((each, each.make()) for each in wanted if not each.apart)
    # Started anew, not forked: whoever calls this may have threads.
    make = partial(_make, current().code)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for begin in range(0, len(apart), BATCH):
            batch = apart[begin : begin + BATCH]
            yield from zip(batch, pool.map(make, batch, chunksize=6), strict=True)


def _make(language: str, output: Output) -> bytes:
    # Another process does not know which language was chosen here.
    with speaking(language):
        return output.make()
