"""A process that writes to a store until it is killed, or until it has done its share.

`writer_process.py URL NAME forever` commits pairs of documents that always say the same, and prints `VERSION NAME
NUMBER` for each acknowledged commit. `writer_process.py URL NAME TIMES` adds one to a shared document so many times,
each time knowing what it was.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from stores import commit, put, service

from conformance.policy.store import Conflict, Store
from conformance.policy.store.opening import open_store


async def write_pairs(store: Store, name: str) -> None:
    for number in itertools.count():
        pair = [put(f"{name}-{side}", f"{number} " + "x" * (number % 7 * 900)) for side in ("left", "right")]
        version = await commit(store, *pair, note=f"{name} {number}")
        print(version, name, number, flush=True)  # noqa: T201 -- read by the test


async def count_up(store: Store, times: int) -> None:
    done = 0
    while done < times:
        there = await store.document(service("counter"))
        value, expected = (there.document["value"], there.changed_in) if there else (0, 0)
        try:
            await commit(store, put("counter", value + 1, expected=expected))
        except Conflict:
            continue
        done += 1


async def main(url: str, name: str, times: str) -> None:
    store = await open_store(url)
    try:
        await (write_pairs(store, name) if times == "forever" else count_up(store, int(times)))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
