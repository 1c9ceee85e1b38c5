"""What somebody sees who listens in on the network between the security servers."""

from __future__ import annotations

from uuid import uuid4

from conformance.checks.catalogue import check
from conformance.checks.topology.ways import OWN_MACHINES
from conformance.probe import CALLER, Answer, EvidenceKind, Feature, Probe


@check(
    id="TOPOLOGY-001",
    title="Nothing of a call can be read on the network between the security servers",
    proves=["TOPOLOGY-R1"],
    needs=[Feature.TOPOLOGY, Feature.INTER_PROXY],
    evidence=["call", "wire"],
    fails={
        "readable-on-the-wire": "No word of a call or of its answer crosses the network as it was written.",
    },
    inconclusive={
        "call-not-seen": "A call is answered, and bytes between the two security servers are seen on the wire.",
    },
    remedy="Give every cluster that leads to another machine a transport_socket with TLS, and look for what copies "
    "calls elsewhere: request_mirror_policies, tap filters, access logs and traces sent in plaintext.",
    topologies=OWN_MACHINES,
    separate_hosts=True,
)
async def cannot_be_read_on_the_wire(probe: Probe) -> None:
    """What a configuration says about TLS is one thing; what goes over the cable is what others can read.

    Everything that crosses the network which the machines share is captured (packet(7)) while the calling application
    calls the witness, with a mark in the path, in a header and in the body, and another one in the answer. None of the
    marks may be found in any stream (GovStack CFR security requirement 1; GovStack security requirements 5.15.2). The
    cable between an application and its own security server is no part of that network: nobody else is connected to it,
    which TOPOLOGY-002 and TOPOLOGY-007 prove.
    """
    asked, answered = (f"marked-{uuid4().hex}" for _ in range(2))
    with probe.hosts.wire() as capture:
        exchange = await probe.call(
            f"/{asked}",
            method="POST",
            headers={"x-mark": asked},
            body=asked.encode(),
            answers=[Answer(body=answered.encode())],
        )
        # What the first call has set going elsewhere is on its way before the second one is answered.
        again = await probe.call("/")
        streams = capture.streams()
        lost = capture.lost
    probe.record_exchange("call", exchange)
    between = probe.hosts.addresses(CALLER, probe.subject.name)
    hop = {ends: sent for ends, sent in streams.items() if {ends[0][0], ends[1][0]} == between}
    readable = [
        f"{source[0]}:{source[1]} to {destination[0]}:{destination[1]}"
        for (source, destination), sent in streams.items()
        if asked.encode() in sent or answered.encode() in sent
    ]
    probe.record(
        "wire",
        EvidenceKind.WIRE,
        {
            "streams": len(streams),
            "bytes between the two security servers": sum(map(len, hop.values())),
            "frames lost": lost,
            "readable": readable,
        },
    )
    whole = exchange.status == again.status == 200 and exchange.body == answered.encode() and hop and not lost
    seen = f"{exchange.summary}; {sum(map(len, hop.values()))} bytes were seen, {lost} frames lost"
    probe.require("call-not-seen", whole, seen=seen)
    probe.expect("readable-on-the-wire", not readable, seen="; ".join(readable) or "no mark is readable")
