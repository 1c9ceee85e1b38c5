"""Faults of the policy admin service and of what a control plane reports to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import ResourceType, encode
from conformance.controlplane.snapshot import Change
from conformance.faults.areas.common import undecided
from conformance.faults.seeding import seed
from conformance.mesh import BYSTANDER, Modifier
from conformance.model.policies import PolicyChange, PolicyKey
from conformance.policy.documents import InvalidPolicies, Problem
from conformance.policy.store import Author, Document, Entry, Judge, ProxyReport, ProxyState, Store, Stored, Write


class Around:
    """A store that is another one. Subclasses change what goes in."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """As the other one."""
        return await self.store.commit(writes, author=author, note=note, judge=judge)

    def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        """As the other one."""
        return self.store.changes(after)

    async def version(self) -> int:
        """As the other one."""
        return await self.store.version()

    async def documents(self, version: int | None = None) -> Mapping[PolicyKey, Stored]:
        """As the other one."""
        return await self.store.documents(version)

    async def document(self, key: PolicyKey, version: int | None = None) -> Stored | None:
        """As the other one."""
        return await self.store.document(key, version)

    async def history(
        self, *, key: PolicyKey | None = None, before: int | None = None, limit: int = 100
    ) -> list[Entry]:
        """As the other one."""
        return await self.store.history(key=key, before=before, limit=limit)

    async def report(self, reports: Sequence[ProxyReport]) -> None:
        """As the other one."""
        await self.store.report(reports)

    async def reports(self, version: int) -> list[ProxyReport]:
        """As the other one."""
        return await self.store.reports(version)

    async def latest_reports(self) -> list[ProxyReport]:
        """As the other one."""
        return await self.store.latest_reports()

    async def close(self) -> None:
        """As the other one."""
        await self.store.close()


class Kept(Modifier):
    """Policies are kept in a store with a defect."""

    def __init__(self, around: Callable[[Store], Store]) -> None:
        self._around = around

    def keep(self, store: Store) -> Store:
        """The other store inside the one with the defect."""
        return self._around(store)


class WithoutSums(Around):
    """Does not mind what is wrong with a split."""

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """Whatever else is wrong is refused."""

        def lenient(documents: Mapping[PolicyKey, Document], changed: Sequence[Write]) -> None:
            try:
                judge(documents, changed)
            except InvalidPolicies as refusal:
                others = [each for each in refusal.problems if not each.path.endswith("/split")]
                if others:
                    raise InvalidPolicies(others) from None

        return await super().commit(writes, author=author, note=note, judge=lenient)


class WithoutPlaces(Around):
    """Refuses without a place."""

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """The reasons of the judge are kept to oneself."""

        def curt(documents: Mapping[PolicyKey, Document], changed: Sequence[Write]) -> None:
            try:
                judge(documents, changed)
            except InvalidPolicies as refusal:
                first = refusal.problems[0]
                raise InvalidPolicies([Problem(first.document, "", "it is invalid", "mend it")]) from None

        return await super().commit(writes, author=author, note=note, judge=curt)


class PieceByPiece(Around):
    """Keeps each document as soon as it is found to be good, whatever comes after it."""

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """Judged as a whole first; then what concerns the bystander is kept all the same."""
        try:
            return await super().commit(writes, author=author, note=note, judge=judge)
        except InvalidPolicies:
            good = [each for each in writes if each.key[1] == BYSTANDER]
            await super().commit(good, author=author, note=note, judge=judge)
            raise


seed(
    "policy-admin-adds-nothing-up",
    defect="The policy admin service takes splits whose weights do not add up.",
    modifier=Kept(WithoutSums),
    caught_by={"POLICY-007": "accepted"},
)
seed(
    "policy-admin-keeps-reasons-to-itself",
    defect="The policy admin service says that a policy is invalid, and not where.",
    modifier=Kept(WithoutPlaces),
    caught_by={"POLICY-007": "no-reason"},
)
seed(
    "policy-admin-keeps-piece-by-piece",
    defect="Of a refused change the policy admin service keeps what was good about it.",
    modifier=Kept(PieceByPiece),
    caught_by={"POLICY-007": "changed"},
)


class Reported(Modifier):
    """Rejections are reported as something else."""

    def __init__(self, change: Callable[[ProxyReport], ProxyReport | None]) -> None:
        self._change = change

    def report(self, report: ProxyReport) -> ProxyReport | None:
        """Changed, if it is about a rejection."""
        return self._change(report) if report.state is ProxyState.REJECTED else report


seed(
    "policy-rejection-taken-for-an-answer",
    defect="The control plane takes every answer of a security server for an acknowledgement.",
    modifier=Reported(lambda report: replace(report, state=ProxyState.APPLIED, reason="")),
    caught_by={"POLICY-008": "not-reported"},
)
seed(
    "policy-rejection-without-reason",
    defect="The control plane reports that a security server rejected something, and not why.",
    modifier=Reported(lambda report: replace(report, reason="rejected")),
    caught_by={"POLICY-008": "no-reason"},
)


class RestartsAfterRejections(Modifier):
    """Another process takes the place of a security server that has rejected something."""

    def __init__(self) -> None:
        self._due: set[str] = set()

    def report(self, report: ProxyReport) -> ProxyReport:
        """Noted."""
        if report.state is ProxyState.REJECTED:
            self._due.add(report.proxy)
        return report

    def restarts(self, server: str) -> bool:
        """Once for each rejection."""
        due = server in self._due
        self._due.discard(server)
        return due


class LeavesOutUnreadable(Behaviour):
    """Routes with a pattern that no proxy could read are not sent at all."""

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """Without such routes."""
        changed = dict(change.changed)
        for (kind, name), told in change.changed.items():
            if kind is ResourceType.ROUTE and name.startswith("inbound/"):
                fields = {key: value for key, value in told.fields().items() if key != "@type"}
                for host in fields["virtual_hosts"]:
                    host["routes"] = [route for route in host.get("routes", ()) if _readable(route)]
                changed[kind, name] = encode(kind, name, fields)
        return (Change(changed, change.removed),)


def _readable(route: Mapping[str, Mapping[str, Mapping[str, str]]]) -> bool:
    try:
        re.compile(route["match"].get("safe_regex", {}).get("regex", ""))
    except re.error:
        return False
    return True


class PausesAfterRejections(Modifier):
    """The control plane drops one change for each security server that has rejected one."""

    def __init__(self) -> None:
        self.rejected: set[str] = set()

    def report(self, report: ProxyReport) -> ProxyReport:
        """Noted."""
        if report.state is ProxyState.REJECTED:
            self.rejected.add(report.proxy)
        return report

    def behaviour(self) -> Behaviour:
        """It shares what is heard of rejections."""
        return BacksOff(self.rejected)


class BacksOff(Behaviour):
    """The change after a rejection is dropped."""

    def __init__(self, rejected: set[str]) -> None:
        self._rejected = rejected

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """Nothing, if this node has just rejected something."""
        if node_id in self._rejected:
            self._rejected.discard(node_id)
            return ()
        return (change,)


class Behaving(Modifier):
    """A control plane of this behaviour."""

    def __init__(self, new: Callable[[], Behaviour]) -> None:
        self._new = new

    def behaviour(self) -> Behaviour:
        """A new one for each control plane."""
        return self._new()


seed(
    "policy-rejection-answered-by-a-restart",
    defect="A security server that rejects a configuration is started anew, without anything to fall back on.",
    modifier=RestartsAfterRejections(),
    caught_by={"POLICY-008": "last-good-lost"},
)
seed(
    "policy-rejection-pauses-changes",
    defect="After a rejection the next change for the security server is dropped.",
    modifier=PausesAfterRejections(),
    caught_by={"POLICY-008": "not-recovered"},
)
seed(
    "policy-unreadable-left-out",
    defect="The control plane leaves out what it takes for unreadable, so that no security server can reject it.",
    modifier=Behaving(LeavesOutUnreadable),
    caught_by={"POLICY-008": undecided("not-rejected")},
)
