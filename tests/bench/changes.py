"""How long a changed policy takes: until it is enforced on an open connection, and among many others."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import click

from conformance.mesh import CALLER, WITNESS, Mesh, Propagation
from conformance.model.policy import AccessRule, ServicePolicy
from conformance.probe import KeptConnection
from tests.bench.measuring import Series, compare, taking_turns_async
from tests.bench.meshes import guarded, mesh_of_reference

__all__ = ["among_many", "enforcement"]

CHANGES = 500
FEW, MANY = 50, 10_000
REGISTERED_AT_ONCE = 500


def enforcement() -> None:
    """A right is taken away and given back: until the open connection of the caller feels it."""
    asyncio.run(_enforcement())


async def _enforcement() -> None:
    call, change = Series("a plain call through both security servers"), Series("a changed right, set to enforced")
    with guarded() as guard:
        async with mesh_of_reference(guard) as mesh:
            outbound = mesh.members[CALLER].outbound
            assert outbound is not None
            async with KeptConnection(outbound, timeout=10) as connection:
                granted = mesh.policies[WITNESS]
                await _until(connection, 200)
                for number in range(CHANGES):
                    expected = 403 if number % 2 == 0 else 200
                    with change.measured():
                        await mesh.announce(granted.changed(access=() if expected == 403 else granted.access))
                        await _until(connection, expected)
                    with call.measured():
                        await connection.call(f"/{WITNESS}/")
    compare([call, change])


async def _until(connection: KeptConnection, status: int) -> None:
    while (await connection.call(f"/{WITNESS}/")).status != status:
        pass


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
