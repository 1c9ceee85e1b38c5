"""Operations that tell how versions spread: what became of them at the security servers, and the feed of changes.

Long polls answer as soon as there is something to say, at the end of the time asked for, or when the service ends; a
caller then asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from starlette.responses import Response

from conformance.model.errors import DeadlineExceeded
from conformance.model.policies import PolicyChange
from conformance.policy.service import parameters
from conformance.policy.service.answers import ok
from conformance.policy.service.edge import Call
from conformance.policy.service.feed import known_news, next_change
from conformance.policy.service.forms import ReportsForm, read, report_json
from conformance.policy.service.problems import Flaw, Problem, Reason
from conformance.policy.store import ProxyReport, ProxyState, Store
from conformance.policy.wire import change_to_json
from conformance.system.deadlines import until

__all__ = ["Following"]

NOTHING_YET = "unreported"


class Following:
    """Versions of a store on their way to the security servers."""

    def __init__(self, store: Store, *, longest_wait_s: float, stopping: asyncio.Event) -> None:
        self._store = store
        self._longest_wait_s = longest_wait_s
        self._stopping = stopping

    async def status(self, call: Call) -> Response:
        """What became of a version at each security server that it concerns."""
        version = parameters.version_in_path(call)
        wait = min(parameters.seconds(call, "wait", most=parameters.LONGEST_WAIT_S), self._longest_wait_s)
        if not 1 <= version <= await self._store.version():
            raise Problem(Reason.NOT_FOUND, "there is no such version")
        reports: list[ProxyReport] = []

        async def settled() -> bool:
            reports[:] = await self._store.reports(version)
            return self._stopping.is_set() or _state(reports) not in {NOTHING_YET, ProxyState.PENDING}

        # Other processes report to the same store, and it does not tell.
        with suppress(DeadlineExceeded):
            await until(settled, what="every security server has answered", timeout=wait)
        return ok({"version": version, "state": _state(reports), "proxies": [report_json(each) for each in reports]})

    async def list_proxies(self, _call: Call) -> Response:
        """For each security server what became of the newest version that concerns it."""
        return ok({"items": [report_json(report) for report in await self._store.latest_reports()]})

    async def report(self, call: Call) -> Response:
        """What a control plane says. Who says it is its proven identity."""
        form, newest = read(ReportsForm, call.body), await self._store.version()
        unknown = [
            Flaw(f"there is no such version; the newest is {newest}", pointer=f"/reports/{place}/version")
            for place, report in enumerate(form.reports)
            if report.version > newest
        ]
        if unknown:
            raise Problem(Reason.INVALID, "a report is about a version that there is not", unknown)
        await self._store.report(
            [
                ProxyReport(
                    each.version, each.proxy, ProxyState(each.state), each.since, each.reason, call.caller.identity
                )
                for each in form.reports
            ]
        )
        return Response(status_code=204)

    async def changes(self, call: Call) -> Response:
        """Everything since a version as one change, with every caller resolved: what control planes go by."""
        after = parameters.required_number(call, "after", least=0)
        wait = min(parameters.seconds(call, "wait", most=parameters.LONGEST_WAIT_S), self._longest_wait_s)
        newest = await self._store.version()
        if after > newest:
            flaw = Flaw(f"the newest version is {newest}: begin anew, after 0", parameter="after")
            raise Problem(Reason.CONFLICT, "the follower is ahead of the store, so they do not belong together", [flaw])
        if newest > after:
            return ok(change_to_json(await known_news(self._store, after)))
        news = await next_change(self._store, after, wait, unless=[self._stopping]) if wait else None
        return ok(change_to_json(news or PolicyChange(after, ())))


def _state(reports: Sequence[ProxyReport]) -> str:
    """The worst of all: one that is still pending may yet be rejected, and one rejection is a rejection."""
    states = {report.state for report in reports}
    for state in (ProxyState.PENDING, ProxyState.REJECTED, ProxyState.APPLIED):
        if state in states:
            return state
    return NOTHING_YET
