"""Whatever is changed, asked or interrupted, a proxy ends up with just what it should have, and never dangles."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from raw_client import DELTA_REQUEST, DELTA_RESPONSE, REQUEST, RESPONSE
from xds_parts import CLUSTER, ENDPOINT, LISTENER, ROUTE, Resources, cluster, endpoints, listener, routes

from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.exchange import Dialect
from conformance.controlplane.node import Node
from conformance.controlplane.resources import ResourceType, encode
from conformance.controlplane.snapshot import Change, Snapshot, new_epoch
from conformance.controlplane.stream import Stream
from conformance.protobuf.messages import unpack

CLUSTER_NAMES = ("a", "b", "c")
ROUTE_NAMES = ("routes", "more")
MORE_RESPONSES_THAN_EVER_NEEDED = 30


class Proxy:
    """What a proxy does with responses, for either dialect. It keeps the content of what it accepted."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.held: dict[ResourceType, dict[str, dict[str, Any]]] = {kind: {} for kind in ResourceType}
        self.names: dict[ResourceType, set[str]] = {}
        self.resource_versions: dict[ResourceType, dict[str, str]] = {kind: {} for kind in ResourceType}
        self.versions: dict[ResourceType, str] = {}
        self._nonces: dict[ResourceType, str] = {}
        self.unanswered: list[Any] = []

    def reconnect(self) -> list[Any]:
        """The first requests on a new stream, in Envoy's order."""
        self._nonces.clear()
        self.unanswered.clear()
        kinds = [kind for kind in (CLUSTER, ENDPOINT, LISTENER, ROUTE) if kind in self.names]
        return [self._first_request(kind) for kind in kinds]

    def _first_request(self, kind: ResourceType) -> Any:
        names = sorted(self.names[kind])
        if self.dialect is Dialect.DELTA:
            known = {
                name: at for name, at in self.resource_versions[kind].items() if kind.listed_whole or name in names
            }
            return DELTA_REQUEST(
                type_url=kind.type_url, resource_names_subscribe=names, initial_resource_versions=known
            )
        return REQUEST(type_url=kind.type_url, resource_names=names, version_info=self.versions.get(kind, ""))

    def ask(self, kind: ResourceType, names: set[str]) -> Any:
        before = self.names.get(kind)
        self.names[kind] = names
        for name in (before or set()) - names:
            self.held[kind].pop(name, None)
            self.resource_versions[kind].pop(name, None)
        if before is None:
            return self._first_request(kind)
        if self.dialect is Dialect.DELTA:
            return DELTA_REQUEST(
                type_url=kind.type_url,
                resource_names_subscribe=names - before,
                resource_names_unsubscribe=before - names,
            )
        return self._whole_request(kind)

    def _whole_request(self, kind: ResourceType) -> Any:
        return REQUEST(
            type_url=kind.type_url,
            resource_names=sorted(self.names[kind]),
            response_nonce=self._nonces.get(kind, ""),
            version_info=self.versions.get(kind, ""),
        )

    def accept(self, encoded: bytes) -> None:
        """Take over a response; the acknowledgement is sent later."""
        response: Any = (DELTA_RESPONSE if self.dialect is Dialect.DELTA else RESPONSE).FromString(encoded)
        kind = next(kind for kind in ResourceType if kind.type_url == response.type_url)
        held = self.held[kind]
        self._nonces[kind] = response.nonce
        if self.dialect is Dialect.DELTA:
            for resource in response.resources:
                held[resource.name] = unpack(resource.resource.SerializeToString())
                self.resource_versions[kind][resource.name] = resource.version
            for name in response.removed_resources:
                held.pop(name, None)
                self.resource_versions[kind].pop(name, None)
        else:
            content = [unpack(resource.SerializeToString()) for resource in response.resources]
            if kind.listed_whole:
                held.clear()
            held.update({each[kind.name_field]: each for each in content})
            self.versions[kind] = response.version_info
        self.unanswered.append(response)

    def refuse(self, encoded: bytes) -> Any:
        """Keep what it has; the answer lacks only the reason."""
        response: Any = (DELTA_RESPONSE if self.dialect is Dialect.DELTA else RESPONSE).FromString(encoded)
        self.unanswered.append(response)
        self._nonces[next(kind for kind in ResourceType if kind.type_url == response.type_url)] = response.nonce
        return self.acknowledge()

    def acknowledge(self) -> Any:
        response = self.unanswered.pop(0)
        kind = next(kind for kind in ResourceType if kind.type_url == response.type_url)
        if self.dialect is Dialect.DELTA:
            return DELTA_REQUEST(type_url=kind.type_url, response_nonce=response.nonce)
        return self._whole_request(kind)


class Conversation(RuleBasedStateMachine):
    dialect = Dialect.STATE_OF_THE_WORLD

    def __init__(self) -> None:
        super().__init__()
        self.node = Node("node", Snapshot.empty(new_epoch()))
        self.proxy = Proxy(self.dialect)
        self.stream = self._new_stream()

    def _new_stream(self) -> Stream:
        stream = Stream(self.node, self.dialect, Behaviour())
        self.node.streams.append(stream)
        return stream

    @initialize()
    def connect(self) -> None:
        for kind in (CLUSTER, LISTENER):
            self.stream.receive(self.proxy.ask(kind, set()))
        self.stream.receive(self.proxy.ask(ROUTE, {"routes"}))

    @rule(
        names=st.sets(st.sampled_from(CLUSTER_NAMES), min_size=1),
        timeout=st.integers(1, 3),
        ports=st.integers(1, 3),
        data=st.data(),
    )
    def change(self, names: set[str], timeout: int, ports: int, data: st.DataObject) -> None:
        """Any configuration whose routes use only clusters that it has."""
        target = st.sampled_from(sorted(names))
        wanted: Resources = {
            LISTENER: {"inbound": listener()},
            CLUSTER: {name: cluster(name, connect_timeout=f"{timeout}s") for name in names},
            ENDPOINT: {name: endpoints(ports, name=name) for name in names},
            ROUTE: {name: routes(data.draw(target), name=name) for name in ROUTE_NAMES},
        }
        changed = {(kind, name): encode(kind, name, each) for kind in wanted for name, each in wanted[kind].items()}
        present = {(kind, name) for kind, named in self.node.snapshot.resources.items() for name in named}
        self.node.apply(Change(changed, frozenset(present - changed.keys())))

    @rule(names=st.sets(st.sampled_from(CLUSTER_NAMES)))
    def ask_for_endpoints(self, names: set[str]) -> None:
        self.stream.receive(self.proxy.ask(ENDPOINT, names))

    @rule(names=st.sets(st.sampled_from(ROUTE_NAMES), min_size=1))
    def ask_for_routes(self, names: set[str]) -> None:
        self.stream.receive(self.proxy.ask(ROUTE, names))

    @rule()
    def deliver(self) -> None:
        response = self.stream.due_response()
        if response is not None:
            self.proxy.accept(response)
            self.check_that_nothing_dangles()

    @precondition(lambda self: self.proxy.unanswered)
    @rule()
    def acknowledge(self) -> None:
        self.stream.receive(self.proxy.acknowledge())

    @rule(between=st.booleans())
    def reconnect(self, between: bool) -> None:
        self.node.detach(self.stream)
        self.stream = self._new_stream()
        for request in self.proxy.reconnect():
            self.stream.receive(request)
            if between:
                self.deliver()

    @rule()
    def settle(self) -> None:
        """Once everything is answered, the proxy has what it should have, and nothing more is said."""
        for _ in range(MORE_RESPONSES_THAN_EVER_NEEDED):
            self.deliver()
            if not self.proxy.unanswered:
                break
            while self.proxy.unanswered:
                self.acknowledge()
        assert self.stream.due_response() is None
        if not self.node.known:
            return
        for kind, names in self.proxy.names.items():
            should = {
                name: {"@type": kind.type_url, **resource.fields()}
                for name, resource in self.node.snapshot.resources[kind].items()
                if kind.listed_whole or name in names
            }
            has = self.proxy.held[kind]
            # Only listed types can be removed in the state-of-the-world dialect.
            relevant = (
                has if kind.listed_whole or self.dialect is Dialect.DELTA else {n: has[n] for n in has if n in should}
            )
            assert relevant == should, kind
            assert self.stream.subscriptions[kind].has_reached(self.node.snapshot.versions[kind])

    def check_that_nothing_dangles(self) -> None:
        """Make before break: at no instant a route of the proxy names a cluster that the proxy does not have."""
        for route in self.proxy.held[ROUTE].values():
            for host in route["virtual_hosts"]:
                for each in host["routes"]:
                    assert each["route"]["cluster"] in self.proxy.held[CLUSTER]

    def teardown(self) -> None:
        self.settle()


class DeltaConversation(Conversation):
    dialect = Dialect.DELTA


Conversation.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)
DeltaConversation.TestCase.settings = Conversation.TestCase.settings
TestStateOfTheWorldConversation = Conversation.TestCase
TestDeltaConversation = DeltaConversation.TestCase
