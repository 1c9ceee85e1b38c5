"""Where security servers stand, with real applications, proxies and networks: nothing goes round the proxy."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from networks_of_tests import network
from security_server_parts import GuardingSpec, federation, listener, trusting

from conformance.envoy.pod import start_pod
from conformance.envoy.runtime import Runtime
from conformance.model.errors import EnvironmentFault, SubjectFault, UsageError
from conformance.pki import TrustDomain, anonymous_client_context
from conformance.subjects.building_block import (
    CommandSubject,
    ImageSubject,
    Place,
    RunningSubject,
    UrlSubject,
    start_subject,
)
from conformance.system.calling import transport_from
from conformance.system.folders import bundled
from conformance.system.guard import Guard
from conformance.system.namespaces import NetworkNamespace
from conformance.system.survey import Answer, listening, survey

pytestmark = pytest.mark.usefixtures("network_namespaces")


@dataclass(frozen=True)
class Machine:
    """A pod or a host."""

    address: str
    namespace: NetworkNamespace


@pytest.fixture
async def pods(
    runtime: Runtime, guard: Guard, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Machine, Machine]]:
    """Two pods: containers for containers, hosts of a network for processes."""
    async with AsyncExitStack() as exits:
        if runtime.kind == "process":
            made = await exits.enter_async_context(network(guard, "one", "two"))
            yield tuple(Machine(host.address, host.namespace) for host in made)
            return
        found = []
        for name in ("one", "two"):
            pod = await start_pod(request.getfixturevalue("image"), name=name, guard=guard)
            exits.push_async_callback(pod.stop, 0)
            found.append(Machine(pod.address, pod.namespace()))
        yield tuple(found)


def citizen_id(folder: Path) -> CommandSubject:
    script = bundled("fixtures/building_blocks/citizen_id.py")
    command = (
        sys.executable,
        str(script),
        "--host",
        "{host}",
        "--port",
        "{port}",
        "--database",
        f"{folder}/citizens.db",
    )
    return CommandSubject("citizen-id", command, ready="/health")


@asynccontextmanager
async def application(folder: Path, guard: Guard, place: Place) -> AsyncIterator[RunningSubject]:
    subject = await start_subject(citizen_id(folder), values={}, guard=guard, ready_timeout=30, place=place)
    try:
        yield subject
    finally:
        await subject.stop()


async def status_of_health(caller: NetworkNamespace, address: str, port: int, verify: object) -> int:
    async with httpx.AsyncClient(transport=transport_from(caller, verify=verify)) as client:
        return (await client.get(f"https://{address}:{port}/health")).status_code


def ways_in(machine: Machine) -> list[tuple[str, int]]:
    return [(machine.address, each.port) for each in sorted(listening(machine.namespace))]


async def test_an_application_answers_its_sidecar_and_nobody_else(runtime, pods, folder, xds, guard):
    pod, peer = pods
    mesh = TrustDomain()
    async with application(folder, guard, Place(pod.namespace)) as subject:
        assert subject.address[0] == "127.0.0.1"
        spec = GuardingSpec(
            "sidecar",
            folder / "sidecar",
            xds,
            namespace=pod.namespace,
            address=pod.address,
            credential=mesh.issue("security-server/citizen-id", ip=[pod.address]),
            validation=trusting(mesh),
            application=subject.address,
        )
        sidecar = await runtime.start(spec, 20)
        inbound = await sidecar.listener_address("inbound", 20)
        assert inbound[0] == pod.address
        answers = await survey(peer.namespace, ways_in(pod), timeout=5)
        assert answers == {(pod.address, subject.address[1]): Answer.REFUSED, inbound: Answer.OPEN}
        caller = mesh.issue("security-server/caller").client_context(mesh.bundle_pem)
        assert await status_of_health(peer.namespace, *inbound, caller) == 200
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            await status_of_health(peer.namespace, *inbound, anonymous_client_context(mesh.bundle_pem))
        await sidecar.stop()


async def test_an_application_on_a_host_of_its_own_answers_its_security_server_and_nobody_else(
    processes, folder, xds, guard
):
    mesh = TrustDomain()
    neighbours = {"application": ("proxy",)}
    async with network(guard, "peer", "proxy", "application", neighbours=neighbours) as made:
        home, proxy, peer = made["application"], made["proxy"], made["peer"].namespace
        async with application(folder, guard, Place(home.namespace, home.address)) as subject:
            spec = GuardingSpec(
                "proxy",
                folder / "proxy",
                xds,
                namespace=proxy.namespace,
                address=proxy.address,
                credential=mesh.issue("security-server/citizen-id", ip=[proxy.address]),
                validation=trusting(mesh),
                application=subject.address,
            )
            server = await processes.start(spec, 20)
            inbound = await server.listener_address("inbound", 20)
            assert await survey(peer, ways_in(home), timeout=5) == {subject.address: Answer.UNREACHABLE}
            assert await survey(peer, ways_in(proxy), timeout=5) == {inbound: Answer.OPEN}
            caller = mesh.issue("security-server/caller").client_context(mesh.bundle_pem)
            assert await status_of_health(peer, *inbound, caller) == 200
            await server.stop()


async def test_callers_of_another_trust_domain_come_in_by_the_gateway_and_by_no_other_way(
    processes, folder, xds, guard
):
    mesh, partner = TrustDomain("mesh.test"), TrustDomain("partner.example")
    named = partner.issue("security-server/registry")
    async with network(guard, "partner", "gateway", "pod") as made:
        abroad, border, pod = made["partner"].namespace, made["gateway"], made["pod"]
        async with application(folder, guard, Place(pod.namespace)) as subject:
            own = mesh.issue("security-server/citizen-id", ip=[pod.address])
            server = await processes.start(
                GuardingSpec(
                    "citizen-id",
                    folder / "citizen-id",
                    xds,
                    namespace=pod.namespace,
                    address=pod.address,
                    credential=own,
                    validation=trusting(mesh),
                    application=subject.address,
                ),
                20,
            )
            inbound = await server.listener_address("inbound", 20)
            gateway = await processes.start(
                GuardingSpec(
                    "gateway",
                    folder / "gateway",
                    xds,
                    namespace=border.namespace,
                    address=border.address,
                    credential=mesh.issue("security-server/gateway", ip=[border.address]),
                    validation=federation([named.identity], partner),
                    application=inbound,
                    next_hop=own.identity,
                    next_hop_trust=trusting(mesh),
                ),
                20,
            )
            way_in = await gateway.listener_address("inbound", 20)
            context = named.client_context(mesh.bundle_pem)
            assert await status_of_health(abroad, *way_in, context) == 200
            answers = await survey(abroad, [*ways_in(border), *ways_in(pod)], timeout=5)
            assert {target for target, answer in answers.items() if answer is Answer.OPEN} == {way_in, inbound}
            with pytest.raises((httpx.TransportError, ssl.SSLError)):
                await status_of_health(abroad, *inbound, context)
            assert (await server.admin.stats(r"listener\..*ssl\.fail_verify_error$")).popitem()[1] == 1
            assert await status_of_health(abroad, *way_in, context) == 200
            await gateway.stop()
            await server.stop()


async def test_an_application_that_is_a_container_lives_in_a_pod_too(image, guard):
    # Envoy itself as application: no other image is sure to be on the machine.
    configuration = json.dumps({"static_resources": {"listeners": [listener(8080, Path("/dev/null"))]}})
    braces = configuration.replace("{", "{{").replace("}", "}}")
    spec = ImageSubject("hello", image.name, 8080, ("--config-yaml", braces, "--disable-hot-restart"))
    pod, peer = [await start_pod(image, name=name, guard=guard) for name in ("one", "two")]
    place = Place(pod.namespace())
    subject = await start_subject(spec, values={}, guard=guard, ready_timeout=30, place=place)
    assert subject.address == ("127.0.0.1", 8080)
    target = (pod.address, 8080)
    assert await survey(peer.namespace(), [target], timeout=5) == {target: Answer.REFUSED}
    for each in (subject, peer, pod):
        await each.stop(0)


async def test_an_application_that_does_not_listen_where_it_was_put_is_not_ready(folder, guard):
    deaf = CommandSubject("deaf", (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"), folder)
    async with network(guard, "application") as made:
        home = made["application"]
        with pytest.raises(SubjectFault, match="not ready"):
            await start_subject(
                deaf, values={}, guard=guard, ready_timeout=1, place=Place(home.namespace, home.address)
            )


async def test_what_somebody_else_runs_cannot_be_put_on_a_host(guard):
    async with network(guard, "application") as made:
        with pytest.raises(UsageError, match="runs elsewhere"):
            await start_subject(
                UrlSubject("far", "http://192.0.2.1"),
                values={},
                guard=guard,
                ready_timeout=1,
                place=Place(made["application"].namespace),
            )


async def test_a_container_cannot_be_a_security_server_on_a_host_that_is_no_container(containers, folder, xds, guard):
    async with network(guard, "pod") as made:
        spec = GuardingSpec(
            "one", folder / "one", xds, namespace=made["pod"].namespace, credential=TrustDomain().issue("one")
        )
        with pytest.raises(EnvironmentFault, match="joins networks of containers only"):
            await containers.start(spec, 20)


async def test_the_network_of_a_container_that_has_ended_cannot_be_entered(image, guard):
    pod = await start_pod(image, name="pod", guard=guard)
    namespace = pod.namespace()
    await pod.stop(0)
    with pytest.raises(EnvironmentFault, match="cannot be entered"):
        namespace.tcp_socket()
