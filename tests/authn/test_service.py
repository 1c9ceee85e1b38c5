"""The service over real gRPC: its life, the policies that it follows, its log, its metrics, its seams for defects."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from authn_parts import CLINIC, EVERYTHING, OPEN, REGISTRY, TOKENS, WITHIN_S, Asking, Feed, change, question
from prometheus_client.parser import text_string_to_metric_families

from conformance.authn import AuthenticationService, Behaviour, Call, Decision, Line, Reason
from conformance.model.errors import EnvironmentFault, SuiteFault
from conformance.model.policies import PolicyChange
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until

CLOSED = OPEN.changed(access=())
IDS = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "x-correlation-id": "correlation",
    "x-request-id": "request",
}


@asynccontextmanager
async def running(
    listen: UnixListen, behaviour: Behaviour, *, log: Path | None = None
) -> AsyncIterator[AuthenticationService]:
    service = AuthenticationService(behaviour=behaviour, decision_log=log)
    await service.apply(change(1, *EVERYTHING))
    await service.start(listen)
    try:
        yield service
    finally:
        await service.close()


async def test_its_socket_is_for_the_own_user_only(service: AuthenticationService, listen: UnixListen):
    assert stat.S_IMODE(listen.path.stat().st_mode) == 0o600
    assert listen.path.stat().st_uid == os.geteuid()


async def test_it_starts_once_stops_and_starts_again(
    service: AuthenticationService, listen: UnixListen, asking: Asking
):
    with pytest.raises(SuiteFault, match="runs already"):
        await service.start(listen)
    assert await asking.reason() == "allowed"
    await service.restart()
    assert service.running
    assert await asking.reason() == "allowed"
    await service.stop()
    await service.stop()
    assert not service.running
    with pytest.raises(SuiteFault, match="never ran"):
        await AuthenticationService().restart()


async def test_an_address_that_cannot_be_used_is_named(folder: Path):
    with pytest.raises(EnvironmentFault, match="cannot listen") as caught:
        await AuthenticationService().start(UnixListen(folder / ("long" * 40)))
    assert "longlong" in str(caught.value.where)


async def test_it_follows_a_feed_and_says_by_which_version_it_decides(listen: UnixListen, asking: Asking):
    service, feed = AuthenticationService(), Feed()
    await service.start(listen)
    service.follow(feed)
    with pytest.raises(SuiteFault, match="follows a feed already"):
        service.follow(feed)
    assert (service.version, await asking.reason()) == (0, "no-policies")
    feed.say(change(3, *EVERYTHING))
    async with asyncio.timeout(WITHIN_S):
        assert await service.at_version(2) == 3
    assert await asking.reason() == "allowed"
    feed.say(change(4, CLOSED))
    async with asyncio.timeout(WITHIN_S):
        assert await service.at_version(4) == 4
    answer = await asking.check()
    assert answer.dynamic_metadata.fields["store_version"].string_value == "4"
    assert answer.dynamic_metadata.fields["reason"].string_value == "caller-not-allowed"
    await service.close()


async def test_a_feed_that_fails_is_followed_again_and_until_then_the_last_policies_count(
    listen: UnixListen, asking: Asking, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("conformance.authn.server.FOLLOW_AGAIN_S", 0.01)

    class Failing(Feed):
        failures = 3

        async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
            if after and self.failures:
                self.failures -= 1
                raise EnvironmentFault("the database is gone", next_step="start it")
            async for each in super().changes(after):
                yield each
                if self.failures:
                    raise EnvironmentFault("the database is gone", next_step="start it")

    service, feed = AuthenticationService(), Failing()
    feed.say(change(1, *EVERYTHING))
    await service.start(listen)
    service.follow(feed)
    async with asyncio.timeout(WITHIN_S):
        await service.at_version(1)
        assert await asking.reason() == "allowed"
        feed.say(change(2, CLOSED))
        await service.at_version(2)
    assert feed.failures == 0
    assert await asking.reason() == "caller-not-allowed"
    await service.close()


async def test_a_feed_that_breaks_its_promise_is_told_of(listen: UnixListen, caplog: pytest.LogCaptureFixture):
    class Broken(Feed):
        async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
            yield change(1, *EVERYTHING)
            raise ZeroDivisionError

    service = AuthenticationService()
    await service.start(listen)
    service.follow(Broken())
    await until(lambda: "not followed any more" in caplog.text, what="it is in the log", timeout=WITHIN_S)
    with pytest.raises(ZeroDivisionError):
        await service.close()
    assert not service.running


async def test_while_it_hangs_it_answers_nothing_and_afterwards_what_was_asked(
    service: AuthenticationService, asking: Asking
):
    service.hang()
    asked = asyncio.create_task(asking.reason())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asked), 0.05)
    service.resume()
    assert await asyncio.wait_for(asked, WITHIN_S) == "allowed"


async def test_a_question_that_is_none_is_refused(service: AuthenticationService, listen: UnixListen, asking: Asking):
    async with grpc.aio.insecure_channel(f"unix:{listen.path}") as channel:
        raw = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        with pytest.raises(grpc.aio.AioRpcError):
            await raw(b"\xff\xff\xff", timeout=WITHIN_S)
        empty = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
        assert b"question-incomplete" in await empty(b"", timeout=WITHIN_S)
    assert await asking.reason() == "allowed"


async def test_many_questions_at_once_are_all_answered(service: AuthenticationService, asking: Asking):
    reasons = await asyncio.gather(
        *(asking.reason(principal=CLINIC.identity if number % 2 else "") for number in range(300))
    )
    assert reasons == ["identity-missing", "allowed"] * 150


async def test_each_decision_is_one_line_without_secrets(service: AuthenticationService, asking: Asking, folder: Path):
    token = TOKENS.token("births")
    secret = {"authorization": f"Bearer {token}", "cookie": "secret"}
    await asking.check(service="guarded", path="/guarded/a?name=secret", headers={**IDS, **secret})
    await asking.check(service="births", path="/births/v1/births/17?name=secret", headers={"traceparent": "odd"})
    await asking.check(principal="", path="/open/" + "a" * 9000)
    await service.stop()
    text = (folder / "decisions.log").read_text()
    assert "secret" not in text
    assert token.split(".")[2] not in text
    first, second, third = (json.loads(line) for line in text.splitlines())
    assert first == {
        "time": first["time"],
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "correlation_id": "correlation",
        "request_id": "request",
        "direction": "inbound",
        "server": "registry",
        "caller": CLINIC.identity,
        "service": "guarded",
        "operation": "GET /guarded/a",
        "decision": "allowed",
        "reason": "allowed",
        "policy": first["policy"],
        "store_version": 1,
    }
    assert (second["operation"], second["trace_id"]) == ("GET /v1/births/{id}", "")
    assert (third["decision"], third["reason"]) == ("refused", "identity-missing")
    assert len(third["operation"]) < 300
    assert [line.reason for line in service.recent] == ["allowed", "allowed", "identity-missing"]


async def test_a_log_that_was_moved_away_is_begun_anew(service: AuthenticationService, asking: Asking, folder: Path):
    log = folder / "decisions.log"
    await asking.check()
    await until(log.exists, what="the first line is written", timeout=WITHIN_S)
    log.rename(folder / "decisions.log.1")
    await asking.check()
    await until(log.exists, what="the second line is written", timeout=WITHIN_S)


async def test_a_full_disk_holds_up_no_call_and_is_counted(listen: UnixListen, asking: Asking):
    async with running(listen, Behaviour(), log=Path("/dev/full")) as service:
        assert await asking.reason() == "allowed"
        await service.stop()
        assert value(service, "meshmark_authn_decision_log_lost_lines") == 1


async def test_decisions_can_be_listened_to(listen: UnixListen, asking: Asking):
    heard: list[Line] = []
    service = AuthenticationService(on_decision=heard.append)
    await service.start(listen)
    await asking.check()
    assert [line.reason for line in heard] == ["no-policies"]
    await service.close()


def value(service: AuthenticationService, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(service.metrics().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0.0


async def test_metrics_count_decisions_by_direction_outcome_and_reason(service: AuthenticationService, asking: Asking):
    await asking.check()
    await asking.check()
    await asking.check(principal="")
    await asking.check(direction="sideways")
    await asking.limit({"service": "open", "path": "/*", "requests": "1", "per_s": "1"})
    counter = "meshmark_authn_decisions_total"
    assert value(service, counter, direction="inbound", outcome="allowed", reason="allowed") == 2
    assert value(service, counter, direction="inbound", outcome="refused", reason="identity-missing") == 1
    assert value(service, counter, direction="unknown", outcome="refused", reason="question-incomplete") == 1
    assert value(service, "meshmark_authn_decision_seconds_count", direction="inbound") == 3
    assert value(service, "meshmark_authn_policies_version") == 1
    assert value(service, "meshmark_authn_limited_calls_total", outcome="allowed") == 1


# -- seeded defects ----------------------------------------------------------------------------------------------------


class LetsEverythingThrough(Behaviour):
    def decide(self, call: Call, decision: Decision) -> Decision:
        return replace(decision, reason=Reason.ALLOWED)


class KeepsForgedHeaders(Behaviour):
    def headers(self, call: Call, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {}


class FollowsNothing(Behaviour):
    def receive(self, change: PolicyChange) -> Sequence[PolicyChange]:
        return (change,) if change.version == 1 else ()


class LogsNothing(Behaviour):
    def note(self, call: Call, line: Line) -> Line | None:
        return None


class KnowsNoLimits(Behaviour):
    def over_limit(self, descriptor: Mapping[str, str], over: bool) -> bool:
        return False


class Waits(Behaviour):
    def __init__(self) -> None:
        self.until = asyncio.Event()

    async def before_answer(self, call: Call) -> None:
        await self.until.wait()


async def test_a_defect_can_let_everything_through(listen: UnixListen, asking: Asking):
    async with running(listen, LetsEverythingThrough()):
        assert (await asking.check(principal="")).status.code == 0


async def test_a_defect_can_keep_forged_headers(listen: UnixListen, asking: Asking):
    async with running(listen, KeepsForgedHeaders()):
        answer = await asking.check()
        assert (len(answer.ok_response.headers), len(answer.ok_response.headers_to_remove)) == (0, 0)


async def test_a_defect_can_stay_with_old_policies(listen: UnixListen, asking: Asking):
    async with running(listen, FollowsNothing()) as service:
        await service.apply(change(2, CLOSED))
        assert (service.version, await asking.reason()) == (1, "allowed")


async def test_a_defect_can_leave_the_log_empty(listen: UnixListen, asking: Asking):
    async with running(listen, LogsNothing()) as service:
        await asking.check()
        assert service.recent == ()


async def test_a_defect_can_lift_limits(listen: UnixListen, asking: Asking):
    async with running(listen, KnowsNoLimits()):
        assert (await asking.limit({"service": "nothing"})).overall_code == 1


async def test_a_defect_can_wait(listen: UnixListen, asking: Asking):
    behaviour = Waits()
    async with running(listen, behaviour):
        asked = asyncio.create_task(asking.reason())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asked), 0.05)
        behaviour.until.set()
        assert await asked == "allowed"


async def test_a_change_that_comes_between_two_questions_counts_for_the_second(
    service: AuthenticationService, asking: Asking
):
    for version in range(2, 40):
        await service.apply(change(version, OPEN if version % 2 else CLOSED, REGISTRY))
        assert await asking.reason() == ("allowed" if version % 2 else "caller-not-allowed")


def test_a_question_of_these_tests_is_one_of_envoys():
    assert question().attributes.context_extensions["service"] == "open"
