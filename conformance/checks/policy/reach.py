"""Who hears of a change: the security servers that it concerns, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from conformance.checks.catalogue import check
from conformance.model.policy import ServicePolicy
from conformance.probe import BYSTANDER, EvidenceKind, Exchange, Feature, Probe

MINE, THEIRS = "change of the subject's service", "change of another service"


@dataclass(frozen=True)
class Reach:
    """Where one change went.

    Attributes:
        concerned: the only security server that has to know.
        in_force: it decided a call by the changed policy.
        news: for each security server what it was sent and has taken over meanwhile.

    """

    concerned: str
    in_force: bool
    news: dict[str, dict[str, Any]]

    @property
    def counted(self) -> bool:
        """The concerned one has counted an update: so the counters of the others mean something."""
        return any(name.endswith("update_success") for name in self.news[self.concerned])

    @property
    def others(self) -> dict[str, dict[str, Any]]:
        """What reached those whom it does not concern."""
        return {server: news for server, news in self.news.items() if news and server != self.concerned}


async def watch(
    probe: Probe, policy: ServicePolicy, attempt: Callable[[], Awaitable[Exchange]], *, concerned: str
) -> Reach:
    """Change a policy, and see what each security server was sent by the time the concerned one decides by it.

    The control plane hands a change to all whom it is going to tell at the same time. So when one of them already
    decides by it, and the number of responses sent to another has not grown, nothing is under way to that one either.
    """
    before = {server: await probe.control_plane.updates(server) for server in probe.mesh_members}
    await probe.apply(policy)
    decided = await probe.first_decided_by(policy, attempt, at=concerned)
    after = {server: await probe.control_plane.updates(server) for server in probe.mesh_members}
    news = {server: after[server].since(before[server]) for server in probe.mesh_members}
    return Reach(concerned, decided is not None, news)


@check(
    id="POLICY-004",
    title="A change reaches the security servers that it concerns, and sends nothing to the others",
    proves=["POLICY-R4"],
    needs=[Feature.POLICY],
    evidence=[MINE, THEIRS],
    fails={
        "others-updated": "A security server that a change does not concern is sent nothing and counts no update.",
    },
    inconclusive={
        "caller-refused": "The caller is served by both services before the changes.",
        "change-not-in-force": "The security server that a change concerns counts an update and decides calls by it.",
    },
    remedy="Let the control plane send a security server only the resources of its own services and of those "
    "that it calls, each under a version of its own (incremental xDS), not everything under one "
    "version for all. Look for a revision number or time in resources that many share.",
)
async def updates_only_whom_it_concerns(probe: Probe) -> None:
    """In a mesh of thousands a change that everybody hears of is a storm, and tells everybody who may call whom.

    First the access to a service behind the subject's security server is changed, then the access to the bystander's
    service; neither change concerns anybody but the one security server that stands before the service. What the
    control plane sent is compared with what each security server counted (Envoy documentation: "xDS subscription
    statistics").
    """

    async def call_bystander() -> Exchange:
        return await probe.call(service=BYSTANDER)

    served = [await probe.call(), await call_bystander()]
    seen = "; ".join(each.summary for each in served)
    probe.require("caller-refused", all(each.status == 200 for each in served), seen=seen)

    mine = probe.policy().changed(access=(*probe.policy().access, probe.everything_for(BYSTANDER)))
    theirs = probe.policy(BYSTANDER).changed(access=(*probe.policy(BYSTANDER).access, probe.everything_for(BYSTANDER)))
    judge(probe, MINE, await watch(probe, mine, probe.call, concerned=probe.subject.name))
    judge(probe, THEIRS, await watch(probe, theirs, call_bystander, concerned=BYSTANDER))


def judge(probe: Probe, name: str, reach: Reach) -> None:
    """Nothing for the others, and the concerned one decides by the change."""
    probe.record(name, EvidenceKind.STATISTICS, {"concerned": reach.concerned, "news": reach.news})
    seen = f"{name}: {reach.others or 'nothing new for the others'}"
    probe.expect("others-updated", not reach.others, seen=seen)
    seen = f"{name}: {'in force' if reach.in_force else 'not in force'}, news {reach.news[reach.concerned]}"
    probe.require("change-not-in-force", reach.in_force and reach.counted, seen=seen)
