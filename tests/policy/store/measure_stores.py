"""How fast stores are: `PYTHONPATH=tests python tests/policy/store/measure_stores.py`. It prints; it asserts nothing.

Of each kind of times the fastest tenth's limit is shown: on a busy machine the others tell about the machine.
"""

# ruff: noqa: T201 -- a report on the terminal

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from postgres_server import PostgresServer, programs
from stores import ANNA, Following, agree, member, served

from conformance.policy.documents import IncrementalJudge
from conformance.policy.store import Judge
from conformance.policy.store.kept import KeptStore
from conformance.policy.store.opening import open_store

COMMITS = 200


def good(times: list[float]) -> float:
    return statistics.quantiles(times, n=10)[0]


async def filled(store: KeptStore, services: int, judge: Judge) -> None:
    writes = [member("office"), *(served(f"service-{number}", "office") for number in range(services))]
    await store.commit(writes, author=ANNA, note="", judge=judge)


async def commit_times(store: KeptStore, judge: Judge) -> list[float]:
    times = []
    for number in range(COMMITS):
        begun = time.perf_counter()
        await store.commit([served("service-1", "office", code=f"c{number}")], author=ANNA, note="", judge=judge)
        times.append(time.perf_counter() - begun)
    return times


async def news_times(writer: KeptStore, follower: KeptStore) -> list[float]:
    following = Following(follower)
    await following.next()
    times = []
    for number in range(COMMITS):
        news = asyncio.create_task(following.next())
        await writer.commit([served("service-1", "office", code=f"n{number}")], author=ANNA, note="", judge=agree)
        committed = time.perf_counter()
        await news
        times.append(time.perf_counter() - committed)
    return times


async def together(stores: list[KeptStore]) -> float:
    begun = time.perf_counter()

    async def write(store: KeptStore, who: int) -> None:
        for number in range(COMMITS):
            await store.commit([served(f"own-{who}", code=f"t{number}")], author=ANNA, note="", judge=agree)

    await asyncio.gather(*(write(store, who) for who, store in enumerate(stores)))
    return len(stores) * COMMITS / (time.perf_counter() - begun)


async def measure(name: str, url: str, services: int) -> dict[str, float]:
    store, other = await open_store(url), await open_store(url)
    judge = IncrementalJudge()
    await filled(store, services, judge)
    found = {
        "commit": good(await commit_times(store, agree)),
        "judged commit": good(await commit_times(store, judge)),
        "news here": good(await news_times(store, store)),
        "news there": good(await news_times(store, other)),
    }
    rate = await together([store, other])
    words = ", ".join(f"{what} {seconds * 1000:.2f} ms" for what, seconds in found.items())
    print(f"{name}, {services} services: {words}; two writers {rate:.0f} commits/s", flush=True)
    await store.close()
    await other.close()
    return found


async def main() -> None:
    server = PostgresServer(programs() or Path())
    server.start()
    try:
        for name in ("sqlite", "postgres"):
            found = []
            for services in (10, 10_000):
                with tempfile.TemporaryDirectory() as folder, server.database() as database:
                    url = str(Path(folder) / "policies.db") if name == "sqlite" else server.url(database)
                    found.append(await measure(name, url, services))
            few, many = found
            print(f"{name}: 10,000 to 10 services:", {what: round(many[what] / few[what], 2) for what in few})
    finally:
        server.remove()


if __name__ == "__main__":
    asyncio.run(main())
