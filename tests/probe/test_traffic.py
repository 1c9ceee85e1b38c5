from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from conformance.mesh import Witness, refusing_address
from conformance.model.errors import DeadlineExceeded
from conformance.model.policy import Endpoint, ServicePolicy
from conformance.model.timeouts import Timeouts
from conformance.probe import KeptConnection
from conformance.probe.access_log import AccessLog
from conformance.probe.traffic import SteadyTraffic

TIMEOUTS = Timeouts(request=5.0, enforced=0.05, observed=0.05)
POLICY = ServicePolicy("witness")


@asynccontextmanager
async def traffic_to(endpoint: Endpoint, witness: Witness, log: Path, callers: int) -> AsyncIterator[SteadyTraffic]:
    async with AsyncExitStack() as opened:
        connections = [
            await opened.enter_async_context(KeptConnection(endpoint, timeout=TIMEOUTS.request)) for _ in range(callers)
        ]
        traffic = SteadyTraffic(connections, log=AccessLog(log), witness=witness, timeouts=TIMEOUTS)
        async with traffic.flowing():
            yield traffic


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    witness = Witness()
    yield witness
    await witness.close()


async def test_a_round_is_over_when_every_caller_has_called_once_more(tmp_path: Path, witness: Witness) -> None:
    endpoint = (await witness.open_endpoint("witness")).endpoint
    async with traffic_to(endpoint, witness, tmp_path / "log", 3) as traffic:
        for _ in range(5):
            await traffic.round()
    calls = traffic.calls()
    assert all(sum(call.caller == caller for call in calls) >= 5 for caller in range(3))


async def test_no_call_is_forgotten_or_cut_off(tmp_path: Path, witness: Witness) -> None:
    endpoint = (await witness.open_endpoint("witness")).endpoint
    async with traffic_to(endpoint, witness, tmp_path / "log", 2) as traffic:
        await traffic.round()
    calls = traffic.calls()
    assert {call.exchange.status for call in calls} == {200}
    assert all(call.arrivals == 1 for call in calls)
    assert len({call.exchange.local_port for call in calls}) == 2
    assert len(witness.arrivals) == len(calls) + 1, "one call more, whose line in the log is the last one"


async def test_each_caller_calls_at_least_once(tmp_path: Path, witness: Witness) -> None:
    endpoint = (await witness.open_endpoint("witness")).endpoint
    async with traffic_to(endpoint, witness, tmp_path / "log", 4) as traffic:
        pass
    assert {call.caller for call in traffic.calls()} == {0, 1, 2, 3}


async def test_a_policy_decides_when_the_log_says_so_of_one_of_these_calls(tmp_path: Path, witness: Witness) -> None:
    endpoint = (await witness.open_endpoint("witness")).endpoint
    log = tmp_path / "log"
    log.write_text(json.dumps({"kind": "inbound", "nonce": "of somebody else", "policy": POLICY.version}) + "\n")
    async with traffic_to(endpoint, witness, log, 1) as traffic:
        await traffic.round()
        assert not await traffic.decided_by(POLICY)
        with log.open("a") as file:
            file.write(
                json.dumps({"kind": "inbound", "nonce": witness.arrivals[0].nonce, "policy": POLICY.version}) + "\n"
            )
        assert await traffic.decided_by(POLICY)
    assert len(traffic.calls(POLICY)) == 1
    assert traffic.to_json()["decided by"][POLICY.version] == {"200": 1}


async def test_a_refused_connection_is_a_call_without_an_answer(tmp_path: Path, witness: Witness) -> None:
    with refusing_address() as endpoint:
        async with traffic_to(endpoint, witness, tmp_path / "log", 1) as traffic:
            await traffic.round()
    assert {call.exchange.status for call in traffic.calls()} == {None}
    assert traffic.to_json()["reached the application"] == 0


async def test_a_judgement_inside_of_the_block_comes_out_as_it_is(tmp_path: Path, witness: Witness) -> None:
    endpoint = (await witness.open_endpoint("witness")).endpoint
    with pytest.raises(DeadlineExceeded):
        async with traffic_to(endpoint, witness, tmp_path / "log", 2):
            raise DeadlineExceeded("never", next_step="none")
