"""Ways to a building block, or out of it, that do not lead through its own security server."""

from __future__ import annotations

from conformance.checks.catalogue import check
from conformance.checks.topology.surveying import DOOR_NOT_FOUND, from_everywhere, seen_of
from conformance.probe import CALLER, WITNESS, EvidenceKind, Feature, Probe, Purpose, Topology

OWN_MACHINES = (Topology.INTER_PROXY, Topology.EXTERNAL_GATEWAY)
SURVEYED = ["survey from elsewhere", "survey from another member"]


@check(
    id="TOPOLOGY-002",
    title="An application on a machine of its own reaches its own security server and nothing else",
    proves=["TOPOLOGY-R2"],
    needs=[Feature.TOPOLOGY, Feature.INTER_PROXY],
    evidence=["call through both security servers", "survey by the calling application", "survey by the subject"],
    fails={
        "way-round": "From the machine of an application nothing can be reached but its own security server.",
    },
    inconclusive={
        "plain-call-failed": "A call passes the caller's security server and the subject's, as both access logs say.",
    },
    remedy="Give the application's machine no interface, route or address on the network of the security servers, and "
    "let its own security server forward no packets. A firewall that is to do this belongs on the network, not on "
    "the application's machine.",
    topologies=OWN_MACHINES,
    separate_hosts=True,
)
async def goes_no_way_round(probe: Probe) -> None:
    """What an application can reach by itself, it can call without being named, judged or logged.

    One call goes from the calling application to the witness, and stands in the access logs of both security servers
    (Envoy documentation: "Deployment types"). Then every port that anything in the mesh listens at is tried from the
    application's machine itself, and from the subject's: only the listener of its own security server for its own
    applications may answer, and by the first part of the check it is the way that calls take.
    """
    exchange = await probe.call("/both-hops")
    outbound, inbound = await probe.line(exchange, CALLER), await probe.line(exchange)
    probe.record(
        "call through both security servers",
        EvidenceKind.ACCESS_LOG,
        {"caller's": dict(outbound or {}), "subject's": dict(inbound or {})},
    )
    both = outbound and inbound and inbound.get("caller") == probe.identity(CALLER)
    served = exchange.status == 200 and both and probe.arrivals(exchange.nonce)
    probe.require("plain-call-failed", served, seen=exchange.summary)

    for member, name in ((CALLER, "survey by the calling application"), (probe.subject.name, "survey by the subject")):
        by = probe.hosts.application_of(member)
        everybody = (*probe.hosts.servers, *probe.hosts.applications)
        ways = await probe.hosts.ways(everybody, by=by)
        observed = [{"to": way.summary, "answer": way.answer.value} for way in ways]
        probe.record(name, EvidenceKind.SURVEY, {"by": by, "ways": observed})
        round_it = [
            way for way in ways if way.open and not (way.host == member and way.purpose is Purpose.FOR_APPLICATIONS)
        ]
        seen = f"from {by}: {'; '.join(way.summary for way in round_it) or 'nothing else'}"
        probe.expect("way-round", not round_it, seen=seen)


@check(
    id="TOPOLOGY-003",
    title="An application beside a sidecar answers its sidecar and nobody else",
    proves=["TOPOLOGY-R3", "TOPOLOGY-R7"],
    needs=[Feature.TOPOLOGY, Feature.SIDECAR],
    evidence=SURVEYED,
    fails={
        "application-reachable": "No port of an application can be reached from outside of its pod.",
    },
    inconclusive=DOOR_NOT_FOUND,
    remedy="Let the building block listen on 127.0.0.1 (the run file's `{host}`), not on all interfaces. Where it "
    "cannot, its pod needs rules that drop whatever does not come from the sidecar.",
    topologies=(Topology.SIDECAR,),
    separate_hosts=True,
)
async def answers_only_its_sidecar(probe: Probe) -> None:
    """A sidecar guards the door only if there is no other one: an application that listens on all interfaces has one.

    From a machine of nobody, and from another member's pod, every port that anything listens at in the subject's pod is
    tried at the pod's address (GovStack CFR security requirement 8; Envoy documentation: "Deployment types"). The
    sidecar's door must be found open, so that the survey is known to see.
    """
    await judge_applications(probe, [probe.subject.name], "application-reachable")


@check(
    id="TOPOLOGY-007",
    title="A building block on a machine of its own cannot be reached by anybody but its security server",
    proves=["TOPOLOGY-R7"],
    needs=[Feature.TOPOLOGY],
    evidence=SURVEYED,
    fails={
        "building-block-reachable": "No port of a building block's machine can be reached by anybody but its own "
        "security server.",
    },
    inconclusive=DOOR_NOT_FOUND,
    remedy="Connect the building block's machine with its security server's and with nothing else, or drop there "
    "whatever comes from other addresses; and let the building block listen on that one address (`{host}`).",
    topologies=OWN_MACHINES,
    separate_hosts=True,
)
async def answers_only_its_security_server(probe: Probe) -> None:
    """Who reaches a building block directly is neither named nor judged, and nobody logs what he did.

    From a machine of nobody, and from another member's security server, every port that anything listens at on the
    machine of the subject's building block is tried at each of its addresses (GovStack IM 1.1.1 section 6.3; security
    requirements 8.1.2). The door of its security server must be found open, so that the survey is known to see.
    """
    await judge_applications(probe, [probe.hosts.application_of(probe.subject.name)], "building-block-reachable")


async def judge_applications(probe: Probe, hosts: list[str], code: str) -> None:
    """No application of these hosts is open to others."""
    ways = await from_everywhere(probe, hosts, "survey")
    reached = [way for way in ways if way.open and way.purpose is Purpose.APPLICATION]
    probe.expect(code, not reached, seen=seen_of(reached))


@check(
    id="TOPOLOGY-008",
    title="A security server takes calls from its own applications and from nobody else in their place",
    proves=["TOPOLOGY-R2"],
    needs=[Feature.TOPOLOGY],
    evidence=SURVEYED,
    fails={
        "serves-strangers": "The listener that a security server has for its own applications answers nobody else.",
    },
    inconclusive=DOOR_NOT_FOUND,
    remedy="Bind the listener for applications to loopback (sidecar) or to the address that only their machine can "
    "reach, not to all interfaces; otherwise match the source address in its filter chain.",
    separate_hosts=True,
)
async def serves_no_strangers(probe: Probe) -> None:
    """A call that enters here leaves under the member's own identity: whoever can enter is the member, for the mesh.

    From a machine of nobody, and from another member's, every port of every security server is tried. Where its
    listener for applications accepts a connection, a call for the witness is sent there; an answer of any kind fails
    (Envoy documentation: "Deployment types").
    """
    ways = await from_everywhere(probe, probe.hosts.servers, "survey")
    for way in ways:
        if way.open and way.purpose is Purpose.FOR_APPLICATIONS:
            exchange = await probe.hosts.call(way, f"/{WITNESS}/lent")
            seen = f"{way.summary} answered {exchange.summary}"
            probe.expect("serves-strangers", exchange.status is None, seen=seen)
    probe.expect("serves-strangers", True, seen="every listener for applications is closed to others")


@check(
    id="OBSERVE-005",
    title="Peers cannot reach the administration interface of a security server",
    proves=["OBSERVE-R5"],
    needs=[Feature.OBSERVABILITY],
    evidence=SURVEYED,
    fails={
        "administration-reachable": "No port that a peer can reach answers as the administration interface does.",
    },
    inconclusive=DOOR_NOT_FOUND,
    remedy="Give `admin` in the bootstrap a unix socket or a loopback address, and take out listeners that forward to "
    "it. Statistics are better pushed by the security server than fetched from this interface.",
    separate_hosts=True,
)
async def keeps_administration_to_itself(probe: Probe) -> None:
    """Who reaches the administration interface reads keys' names, routes and peers, and can stop the security server.

    From a machine of nobody, and from another member's, every port of every security server is tried, and each that
    opens is asked for `/server_info` in plain HTTP (GovStack CFR security requirement 4; Envoy documentation:
    "Administration interface").
    """
    ways = await from_everywhere(probe, probe.hosts.servers, "survey")
    answered = []
    for way in ways:
        if way.open:
            exchange = await probe.hosts.call(way, "/server_info")
            if exchange.status == 200 and b'"command_line_options"' in exchange.body:
                answered.append(way)
    seen = seen_of(answered) if answered else "no port answers as the administration interface"
    probe.expect("administration-reachable", not answered, seen=seen)
