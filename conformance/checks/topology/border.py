"""The border: callers of another trust domain come in by the external gateway, by name, and by no other way."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.mtls.refusal import keeps_silent, spoken
from conformance.probe import GATEWAY, EvidenceKind, Feature, ForeignKind, Introduction, Probe, Purpose, Topology

UNINVITED = {
    ForeignKind.UNNAMED: "another identity of the trust domain",
    ForeignKind.MEMBER: "member of the mesh itself",
    ForeignKind.VOUCHED_BY_MESH: "named identity by the mesh's authority",
    ForeignKind.UNKNOWN_AUTHORITY: "named identity by an unknown authority",
}
NAME_REFUSED = ("SAN match", "certificate SANs are [")
UNVOUCHED = ("X509 verify cert",)
REASONS = {
    ForeignKind.UNNAMED: NAME_REFUSED,
    ForeignKind.MEMBER: ("no trust bundle store", *UNVOUCHED),
    ForeignKind.VOUCHED_BY_MESH: UNVOUCHED,
    ForeignKind.UNKNOWN_AUTHORITY: UNVOUCHED,
}
"""How Envoy accounts for each: by the name that it does not accept, or by who should have vouched for it."""
CONTROL = {
    "named-foreigner-refused": "The agreed identity of the other trust domain is let in by the gateway and served."
}


async def require_named(probe: Probe) -> Introduction:
    """The agreed caller comes in."""
    named = await probe.hosts.knock(ForeignKind.NAMED)
    probe.record("named foreigner", EvidenceKind.HANDSHAKE, named.to_json())
    probe.require("named-foreigner-refused", named.status == 200, seen=named.summary)
    return named


@check(
    id="TOPOLOGY-004",
    title="The external gateway lets in exactly the agreed callers of another trust domain, and speaks for itself",
    proves=["TOPOLOGY-R4"],
    needs=[Feature.TOPOLOGY, Feature.EXTERNAL_GATEWAY],
    evidence=["named foreigner", "call inside of the mesh", *UNINVITED.values()],
    fails={
        "uninvited-accepted": "Whoever was not agreed upon, by name and by authority, is refused in the handshake.",
        "wrong-reason": "The gateway refuses another identity for its name, and the others because nobody who may "
        "vouches for them; its access log says so.",
        "borrowed-identity": "Towards the mesh the gateway proves its own identity.",
    },
    inconclusive=CONTROL,
    remedy="Give each foreign trust domain its own bundle (SPIFFE certificate validator, trust_domains) and list the "
    "agreed identities with exact matchers; no pooled trusted_ca, no prefix. Give the gateway a certificate of "
    "its own.",
    topologies=(Topology.EXTERNAL_GATEWAY,),
    separate_hosts=True,
)
async def lets_in_whom_was_agreed(probe: Probe) -> None:
    """Where two meshes meet, a name counts only if it was agreed upon, and only from the mouth of its own authority.

    From outside of the mesh the agreed identity knocks at the gateway and is served; the subject's security server must
    have seen the gateway's identity. Then knock: another identity of the same trust domain, a member of the mesh, the
    agreed identity in a certificate of the mesh's own authority, and in one of an unknown authority of the same name
    (SPIFFE X.509-SVID section 5: a bundle vouches for one trust domain; GovStack IM 1.1.1 section 4).
    """
    named = await require_named(probe)
    uninvited = {kind: await probe.hosts.knock(kind) for kind in UNINVITED}
    for kind, who in UNINVITED.items():
        probe.record(who, EvidenceKind.HANDSHAKE, uninvited[kind].to_json())
    for kind, who in UNINVITED.items():
        probe.expect("uninvited-accepted", not uninvited[kind].accepted, seen=f"{who}: {uninvited[kind].summary}")
    for kind, who in UNINVITED.items():
        said = spoken(uninvited[kind].server_reason)
        fits = keeps_silent(said) or any(reason in said for reason in REASONS[kind])
        probe.expect("wrong-reason", fits, seen=f"{who}: {said or 'nothing'}")

    arrived = await probe.line_of(named.nonce)
    probe.record("call inside of the mesh", EvidenceKind.ACCESS_LOG, dict(arrived or {}))
    caller = (arrived or {}).get("caller")
    probe.expect("borrowed-identity", caller == probe.identity(GATEWAY), seen=f"the call came in as {caller}")


@check(
    id="TOPOLOGY-005",
    title="Callers of another trust domain come in by the external gateway and by no other way",
    proves=["TOPOLOGY-R5"],
    needs=[Feature.TOPOLOGY, Feature.EXTERNAL_GATEWAY],
    evidence=["named foreigner", "other doors", "survey from abroad"],
    fails={
        "foreigner-accepted": "Every door of the mesh but the gateway's for other trust domains refuses the foreigner "
        "in the handshake.",
        "wrong-reason": "Each of these doors refuses because nobody whom it trusts vouches for the foreigner, and its "
        "access log says so.",
        "other-way-in": "From abroad nothing can be reached but the security servers' doors.",
    },
    inconclusive=CONTROL,
    remedy="Trust other trust domains' bundles at the gateway's border listener only, never in the validation context "
    "for peers; and look for a listener that faces outward on any other machine.",
    topologies=(Topology.EXTERNAL_GATEWAY,),
    separate_hosts=True,
)
async def has_no_other_way_in(probe: Probe) -> None:
    """A gateway is worth its rules only if there is no way round it.

    The agreed identity is let in at the border. With the same certificate it then knocks at the door for peers of every
    security server, the gateway's too, and is refused in the handshake each time. Every port of every machine of the
    mesh is tried from abroad as well (GovStack CFR security requirement 8; GovStack IM 1.1.1 section 4).
    """
    await require_named(probe)
    others = {
        server: await probe.hosts.knock(ForeignKind.NAMED, server, at=Purpose.DOOR) for server in probe.hosts.servers
    }
    probe.record("other doors", EvidenceKind.HANDSHAKE, {server: each.to_json() for server, each in others.items()})
    for server, knocked in others.items():
        probe.expect("foreigner-accepted", not knocked.accepted, seen=f"{server}: {knocked.summary}")
    for server, knocked in others.items():
        said = spoken(knocked.server_reason)
        fits = keeps_silent(said) or any(reason in said for reason in UNVOUCHED)
        probe.expect("wrong-reason", fits, seen=f"{server}: {said or 'nothing'}")

    ways = await probe.hosts.ways((*probe.hosts.servers, *probe.hosts.applications), by=probe.hosts.elsewhere)
    observed = [{"to": way.summary, "answer": way.answer.value} for way in ways]
    probe.record("survey from abroad", EvidenceKind.SURVEY, {"ways": observed})
    further = [way for way in ways if way.open and way.purpose not in {Purpose.DOOR, Purpose.BORDER}]
    seen = "; ".join(way.summary for way in further) or "nothing else is open"
    probe.expect("other-way-in", not further, seen=seen)
