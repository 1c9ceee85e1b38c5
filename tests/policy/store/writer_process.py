"""Processes that write to a store until they are killed, or until they have done their share.

`writer_process.py URL` forks writers, which starts them in no time. For a line `start NAME` on its input it starts one
that commits pairs of documents that always say the same, and says `VERSION NAME NUMBER` for each acknowledged commit;
for `kill NAME` it kills that one, and says `killed NAME` after all that the writer said. `writer_process.py URL TIMES`
adds one to a shared document so many times, each time knowing what it was.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from stores import commit, put, service

from conformance.policy.store import Conflict, Store
from conformance.policy.store.opening import open_store


def say(line: str) -> None:
    # At once and in one piece, because writers share the pipe.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


async def write_pairs(store: Store, name: str) -> None:
    for number in itertools.count():
        pair = [put(f"{name}-{side}", f"{number} " + "x" * (number % 7 * 900)) for side in ("left", "right")]
        version = await commit(store, *pair, note=f"{name} {number}")
        say(f"{version} {name} {number}")


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


async def write(url: str, work: Callable[[Store], Awaitable[None]]) -> None:
    store = await open_store(url)
    try:
        await work(store)
    finally:
        await store.close()


def fork_writers(url: str) -> None:
    writers: dict[str, int] = {}
    for line in sys.stdin:
        order, name = line.split()
        if order == "start":
            writers[name] = os.fork()
            if not writers[name]:
                asyncio.run(write(url, partial(write_pairs, name=name)))
        else:
            os.kill(writers[name], signal.SIGKILL)
            os.waitpid(writers[name], 0)
            say(f"killed {name}")
            del writers[name]
    for pid in writers.values():
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[2:]:
        asyncio.run(write(sys.argv[1], partial(count_up, times=int(sys.argv[2]))))
    else:
        fork_writers(sys.argv[1])
