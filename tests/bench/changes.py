"""How long a changed policy takes: until it is enforced on an open connection, and among many others."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from multiprocessing.connection import Connection

import click

from conformance.controlplane.garbage import collect_seldom
from conformance.mesh import CALLER, WITNESS, Mesh, Propagation
from conformance.model.policies import Kind
from conformance.model.policy import AccessRule, Endpoint, ServicePolicy
from conformance.policy.client import ANY
from conformance.policy.documents import to_document
from conformance.probe import KeptConnection
from tests.bench.measuring import Series, compare, taking_turns_async
from tests.bench.meshes import guarded, mesh_of_reference

__all__ = ["among_many", "enforcement"]

CHANGES = 500
FEW, MANY = 50, 9_900
REGISTERED_AT_ONCE = 500
PAUSE_S = 0.002


def enforcement() -> None:
    """A right is taken away and given back: until the open connection of the caller feels it."""
    asyncio.run(_enforcement())


async def _enforcement() -> None:
    call, change = Series("a plain call through both security servers"), Series("a changed right, set to enforced")
    with guarded() as guard:
        async with mesh_of_reference(guard) as mesh:
            outbound = mesh.members[CALLER].outbound
            assert outbound is not None
            granted = mesh.policies[WITNESS]
            operator = await mesh.governance.policy_admin.client()
            # As whatever runs a control plane does.
            gc.freeze()
            collect_seldom()
            with _caller(outbound) as caller:
                await asyncio.to_thread(_answer_to, caller, 200)
                for number in range(CHANGES):
                    expected = 403 if number % 2 == 0 else 200
                    changed = granted.changed(access=() if expected == 403 else granted.access)
                    begun = time.monotonic()
                    caller.send(expected)
                    await operator.put((Kind.SERVICE, WITNESS), to_document(changed), expected=ANY, note="a change")
                    enforced, plain = await asyncio.to_thread(caller.recv)
                    change.times.append(enforced - begun)
                    call.times.append(plain)
    compare([call, change])


def _answer_to(caller: Connection, expected: int) -> None:
    caller.send(expected)
    caller.recv()


@contextmanager
def _caller(outbound: Endpoint) -> Iterator[Connection]:
    """The application: a process of its own, for it must not take time from those who put the change in force."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_go_on_calling, args=(outbound, there))
    process.start()
    try:
        yield here
    finally:
        here.send(None)
        process.join()


def _go_on_calling(outbound: Endpoint, orders: Connection) -> None:
    """Told a status, call until it is answered; give when that was, and how long one more call took."""

    async def obey() -> None:
        async with KeptConnection(outbound, timeout=10) as connection:
            while (expected := orders.recv()) is not None:
                await _until_answered(connection, expected)
                enforced = time.monotonic()
                plain = await connection.call(f"/{WITNESS}/")
                orders.send((enforced, plain.duration_s))

    asyncio.run(obey())


async def _until_answered(connection: KeptConnection, status: int) -> None:
    # Without a pause between them, its calls would take the processors from those who are to be measured; with pauses
    # that grow, as those of `until` do, the time would be rounded up by as much as they have grown.
    async with asyncio.timeout(10):
        while (await connection.call(f"/{WITNESS}/")).status != status:  # noqa: ASYNC110 -- nothing tells of it
            await asyncio.sleep(PAUSE_S)


def among_many() -> None:
    """One policy of ten thousand is changed, or one of fifty: until the security server has acknowledged it."""
    asyncio.run(_among_many())


async def _among_many() -> None:
    with guarded() as guard:
        async with AsyncExitStack() as meshes:
            small, large = [await meshes.enter_async_context(mesh_of_reference(guard)) for _ in range(2)]
            for mesh, count in ((small, FEW), (large, MANY)):
                begun = time.perf_counter()
                await _register(mesh, count)
                click.echo(f"  {count} services registered and acknowledged in {time.perf_counter() - begun:.1f} s")
            compare(
                await taking_turns_async(
                    CHANGES,
                    **{
                        f"one_of_{FEW}_changed,_set_to_acknowledged": lambda: _change_one(small),
                        f"one_of_{MANY}_changed,_set_to_acknowledged": lambda: _change_one(large),
                    },
                )
            )


async def _register(mesh: Mesh, count: int) -> None:
    """Give the mesh so many services, all of them answered by the witness."""
    access = (AccessRule(caller=mesh.identity(CALLER)),)
    endpoints = (mesh.witness_endpoint.endpoint,)
    policies = [ServicePolicy(service=f"service-{n}", access=access, endpoints=endpoints) for n in range(count)]
    for first in range(0, count, REGISTERED_AT_ONCE):
        some = policies[first : first + REGISTERED_AT_ONCE]
        _all_acknowledged(await mesh.register(*some, provider=mesh.subject))


async def _change_one(mesh: Mesh) -> None:
    """Take the right to call one service away, or give it back."""
    policy = mesh.policies["service-0"]
    access = () if policy.access else (AccessRule(caller=mesh.identity(CALLER)),)
    _all_acknowledged(await mesh.apply(policy.changed(access=access)))


def _all_acknowledged(propagation: Propagation) -> None:
    if not propagation.acknowledged:
        raise RuntimeError(f"not acknowledged: {propagation}")
