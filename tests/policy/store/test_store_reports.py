"""What control planes report about versions at security servers."""

from __future__ import annotations

from stores import commit, put

from conformance.policy.store import ProxyReport, ProxyState
from conformance.policy.store.kept import KeptStore
from conformance.policy.store.reports import KEPT_VERSIONS


def report(
    version: int, proxy: str, state: ProxyState = ProxyState.APPLIED, reason: str = "", *, second: int = 0, by: int = 1
) -> ProxyReport:
    return ProxyReport(version, proxy, state, f"2026-01-01T00:00:{second:02}.000Z", reason, f"control-plane-{by}")


async def test_reports_tell_what_became_of_a_version_at_each_proxy(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", 1))
    rejected = report(1, "deaths", ProxyState.REJECTED, "no such cluster")
    await store.report([rejected, report(1, "births", ProxyState.PENDING)])
    await other.report([report(1, "births")])
    assert await store.reports(1) == await other.reports(1) == [report(1, "births"), rejected]
    assert await store.reports(2) == []


async def test_the_latest_reports_are_those_of_the_newest_version_of_each_proxy(store: KeptStore) -> None:
    await commit(store, put("births", 1))
    await store.report([report(1, "births"), report(1, "deaths")])
    await commit(store, put("births", 2))
    await store.report([report(2, "births", ProxyState.PENDING)])
    # An acknowledgement of an older version that arrives late says nothing about now.
    await store.report([report(1, "births", ProxyState.REJECTED)])
    assert await store.latest_reports() == [report(2, "births", ProxyState.PENDING), report(1, "deaths")]


async def test_no_report_is_no_change(store: KeptStore) -> None:
    await store.report([])
    assert await store.latest_reports() == []


async def test_reports_of_old_versions_are_forgotten_but_the_last_one_of_each_proxy(store: KeptStore) -> None:
    await commit(store, put("births", 0))
    await store.report([report(1, "births"), report(1, "quiet")])
    for number in range(2, KEPT_VERSIONS + 2):
        await commit(store, put("births", number))
    await store.report([report(KEPT_VERSIONS + 1, "births"), report(2, "births")])
    assert await store.reports(1) == [report(1, "quiet")]
    assert await store.reports(2) == [report(2, "births")]
    assert await store.latest_reports() == [report(KEPT_VERSIONS + 1, "births"), report(1, "quiet")]


async def test_a_report_makes_no_version(store: KeptStore) -> None:
    await commit(store, put("births", 1))
    await store.report([report(1, "births")])
    assert await store.version() == 1


async def test_a_claim_of_another_control_plane_takes_no_answer_away(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", 1))
    await store.report([report(1, "births", second=1), report(1, "deaths", ProxyState.REJECTED, "no such cluster")])
    claims = [report(1, proxy, ProxyState.PENDING, second=9, by=2) for proxy in ("births", "deaths", "quiet")]
    await other.report(claims)
    rejected = report(1, "deaths", ProxyState.REJECTED, "no such cluster")
    assert await store.reports(1) == [report(1, "births", second=1), rejected, claims[2]]


async def test_of_two_answers_the_later_one_counts_whoever_is_written_first(store: KeptStore, other: KeptStore) -> None:
    await commit(store, put("births", 1))
    await other.report([report(1, "births", second=5, by=2)])
    await store.report([report(1, "births", ProxyState.REJECTED, "no such cluster", second=4)])
    assert await store.reports(1) == [report(1, "births", second=5, by=2)]
    rejected = report(1, "births", ProxyState.REJECTED, "no such cluster", second=6)
    await store.report([rejected])
    assert await store.reports(1) == [rejected]


async def test_whoever_has_applied_a_version_waits_for_no_older_one(store: KeptStore, other: KeptStore) -> None:
    for number in range(3):
        await commit(store, put("births", number))
    await store.report([report(1, "births", ProxyState.PENDING), report(1, "deaths", ProxyState.PENDING)])
    await other.report([report(2, "births", second=3, by=2)])
    assert await store.reports(1) == [report(1, "births", second=3, by=2), report(1, "deaths", ProxyState.PENDING)]
    await store.report([report(1, "births", ProxyState.PENDING), report(3, "births", ProxyState.PENDING)])
    assert await store.reports(3) == [report(3, "births", ProxyState.PENDING)]
