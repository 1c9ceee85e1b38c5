"""Policies that make no sense: they are refused where they are written, and nothing of them happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.checks.catalogue import check
from conformance.probe import BYSTANDER, WITNESS, EvidenceKind, Feature, Probe

BEFORE, REFUSALS, AFTER = "in force before", "refusals", "in force afterwards"


def spoilt(good: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Documents with one thing wrong each: in words, the place that is wrong, and the whole document."""
    access = [*good.get("access", ())]
    stranger = {"caller": "nobody-has-this-name"}
    short = {"match": {"prefix": "/share"}, "split": [{"group": "", "weight": 90}]}
    return {
        "a misspelt key": ("/acces", {**good, "acces": access}),
        "a rule for nobody": (
            f"/access/{len(access)}/caller",
            {**good, "access": [*access, stranger]},
        ),
        "a security server that is not there": ("/provider", {**good, "provider": "nowhere"}),
        "a split that does not add up": ("/routes/0/split", {**good, "routes": [short]}),
    }


async def in_force(probe: Probe) -> dict[str, Any]:
    """What the policy admin service holds, and which policy decides calls of either service."""
    held = {name: await probe.administration.stored(name) for name in (WITNESS, BYSTANDER)}
    calls = {
        WITNESS: (await probe.call(), probe.subject.name),
        BYSTANDER: (await probe.call(service=BYSTANDER), BYSTANDER),
    }
    lines = {name: await probe.line(exchange, at) or {} for name, (exchange, at) in calls.items()}
    return {
        "version": await probe.administration.version(),
        "documents": {name: dict(each.document) for name, each in held.items()},
        "changed in": {name: each.changed_in for name, each in held.items()},
        "answers": {name: exchange.status for name, (exchange, _) in calls.items()},
        "decided by": {name: line.get("policy") for name, line in lines.items()},
    }


@check(
    id="POLICY-007",
    title="An invalid policy is refused with the reason, and everything in force stays as it was",
    proves=["POLICY-R8"],
    needs=[Feature.POLICY],
    evidence=[BEFORE, REFUSALS, AFTER],
    fails={
        "accepted": "Each policy with something wrong is refused by the policy admin service.",
        "no-reason": "Each refusal, and each trial without a change, names the policy, the place in it and the reason.",
        "changed": "Afterwards version, documents and the policies that decide calls are those from before.",
    },
    inconclusive={
        "callers-refused": "Before that, both services serve the caller, each by a policy that the access log names.",
    },
    remedy="Let the policy admin service judge a change as a whole before it keeps any part of it: form, references "
    "to members, sums of weights. Look for a store that takes documents one by one, and for a judge that "
    "others than the service can pass by.",
)
async def refuses_what_is_invalid(probe: Probe) -> None:
    """A policy that says something else than its author means opens or closes a service unseen; the place to notice it
    is the desk of the author, not the security servers of the country.

    Several policies with one thing wrong each are sent to the policy admin service, first as a trial, then in earnest,
    each together with a good change of another service: all of it has to be refused. Before and afterwards it is
    recorded what the policy admin service holds, and which policies decide calls.
    """
    before = await in_force(probe)
    probe.record(BEFORE, EvidenceKind.CONFIGURATION, before)
    served = set(before["answers"].values()) == {200} and all(before["decided by"].values())
    probe.require("callers-refused", served, seen=f"{before['answers']}, decided by {before['decided by']}")

    good = dict((await probe.administration.stored(BYSTANDER)).document)
    good["timeout_s"] = 1 + float(good.get("timeout_s", 15))
    accepted, unexplained, refusals = [], [], {}
    for words, (place, bad) in spoilt(before["documents"][WITNESS]).items():
        documents = {BYSTANDER: good, WITNESS: bad}
        trial = await probe.administration.validate(documents)
        asked = await probe.administration.ask(documents)
        refusals[words] = {"trial": [str(each) for each in trial], "in earnest": str(asked)}
        if asked.version is not None:
            accepted.append(words)
        elif not (asked.object_to(f"service/{WITNESS}", place) and trial == asked.objections):
            unexplained.append(f"{words}: {asked}")
    after = await in_force(probe)
    probe.record(REFUSALS, EvidenceKind.CONFIGURATION, refusals)
    probe.record(AFTER, EvidenceKind.CONFIGURATION, after)

    probe.expect("accepted", not accepted, seen=", ".join(accepted) or "none was accepted")
    probe.expect("no-reason", not unexplained, seen="; ".join(unexplained) or "each with its reason")
    different = [name for name in before if before[name] != after[name]]
    probe.expect("changed", not different, seen=", ".join(different) or "nothing")
