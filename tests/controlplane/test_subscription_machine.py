"""Whatever is changed, asked or interrupted, a proxy ends up with just what it should have, and never dangles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from raw_client import DELTA_REQUEST, DELTA_RESPONSE, REQUEST, RESPONSE, STATUS
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
BAD = "this is bad"
MORE_RESPONSES_THAN_EVER_NEEDED = 60


def spoilt(kind: ResourceType, name: str) -> dict[str, Any]:
    """A resource that the proxy refuses."""
    if kind is CLUSTER:
        return cluster(name, alt_stat_name=BAD)
    return {**endpoints(name=name), "named_endpoints": {BAD: {}}} if kind is ENDPOINT else routes(body=BAD, name=name)


def is_bad(content: Mapping[str, Any]) -> bool:
    """Whether the proxy refuses it."""
    return BAD in str(content)


class Proxy:
    """What a proxy does with responses, for either dialect. It keeps the content of what it accepted."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.held: dict[ResourceType, dict[str, dict[str, Any]]] = {kind: {} for kind in ResourceType}
        self.names: dict[ResourceType, set[str]] = {}
        self.resource_versions: dict[ResourceType, dict[str, str]] = {kind: {} for kind in ResourceType}
        self.versions: dict[ResourceType, str] = {}
        self._nonces: dict[ResourceType, str] = {}
        self.unanswered: list[tuple[ResourceType, str, bool]] = []
        self.in_doubt: dict[ResourceType, set[str]] = {}

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

    def take(self, encoded: bytes) -> None:
        """Take over a response, or refuse it; the answer is sent later.

        Of what it refuses it takes some, as Envoy does: of listeners and clusters all that are good, of others those
        that come before the bad one in an order of its own.
        """
        delta = self.dialect is Dialect.DELTA
        response: Any = (DELTA_RESPONSE if delta else RESPONSE).FromString(encoded)
        kind = next(kind for kind in ResourceType if kind.type_url == response.type_url)
        each_of = (resource.resource if delta else resource for resource in response.resources)
        content = {each[kind.name_field]: each for each in (unpack(each.SerializeToString()) for each in each_of)}
        refused = any(map(is_bad, content.values()))
        gone = set(response.removed_resources) if delta else set()
        if kind.listed_whole and not delta:
            gone = self.held[kind].keys() - content.keys()
        for name in sorted(content, reverse=True):
            if not is_bad(content[name]):
                self.held[kind][name] = content[name]
            elif not kind.listed_whole:
                break
        if not refused or kind.listed_whole:
            for name in gone:
                self.held[kind].pop(name, None)
        if not refused:
            self.versions[kind] = "" if delta else response.version_info
            for resource in response.resources if delta else ():
                self.resource_versions[kind][resource.name] = resource.version
            for name in gone:
                self.resource_versions[kind].pop(name, None)
        # Once everything is answered, nothing may be left of which only the proxy knows whether it has it.
        in_doubt = self.in_doubt.setdefault(kind, set())
        in_doubt -= content.keys()
        in_doubt |= content.keys() if refused and len(content) > 1 else set()
        self._nonces[kind] = response.nonce
        self.unanswered.append((kind, response.nonce, refused))

    def answer(self) -> Any:
        """To the oldest response without an answer."""
        kind, nonce, refused = self.unanswered.pop(0)
        if self.dialect is Dialect.DELTA:
            request = DELTA_REQUEST(type_url=kind.type_url, response_nonce=nonce)
        else:
            request = self._whole_request(kind)
            request.response_nonce = nonce
        if refused:
            request.error_detail.CopyFrom(STATUS(code=13, message="no good"))
        return request


class Conversation(RuleBasedStateMachine):
    dialect = Dialect.STATE_OF_THE_WORLD
    to_spoil: tuple[ResourceType, ...] = ()

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
        """Any configuration whose good routes use only clusters that it has."""
        target = st.sampled_from(sorted(names))
        wanted: Resources = {
            LISTENER: {"inbound": listener()},
            CLUSTER: {name: cluster(name, connect_timeout=f"{timeout}s") for name in names},
            ENDPOINT: {name: endpoints(ports, name=name) for name in names},
            ROUTE: {name: routes(data.draw(target), name=name) for name in ROUTE_NAMES},
        }
        for kind in self.to_spoil:
            # A cluster that the proxy never had would be missed by good routes, and nobody could help it.
            candidates = self.proxy.held[kind].keys() & wanted[kind].keys() if kind is CLUSTER else wanted[kind].keys()
            for name in data.draw(st.sets(st.sampled_from(sorted(candidates)))) if candidates else ():
                wanted[kind][name] = spoilt(kind, name)
        changed = {(kind, name): encode(kind, name, each) for kind in wanted for name, each in wanted[kind].items()}
        present = {(kind, name) for kind, named in self.node.snapshot.resources.items() for name in named}
        self.node.apply(Change(changed, frozenset(present - changed.keys())))

    @rule(names=st.sets(st.sampled_from(CLUSTER_NAMES)))
    def ask_for_endpoints(self, names: set[str]) -> None:
        self.ask(ENDPOINT, names)

    @rule(names=st.sets(st.sampled_from(ROUTE_NAMES), min_size=1))
    def ask_for_routes(self, names: set[str]) -> None:
        self.ask(ROUTE, names)

    def ask(self, kind: ResourceType, names: set[str]) -> None:
        # In the state-of-the-world dialect a request that names a response answers it, too.
        while any(unanswered is kind for unanswered, *_ in self.proxy.unanswered):
            self.answer()
        self.stream.receive(self.proxy.ask(kind, names))

    @rule()
    def deliver(self) -> None:
        response = self.stream.due_response()
        if response is not None:
            self.proxy.take(response)
            self.check_that_nothing_dangles()

    @precondition(lambda self: self.proxy.unanswered)
    @rule()
    def answer(self) -> None:
        self.stream.receive(self.proxy.answer())

    @precondition(lambda self: not any(self.proxy.in_doubt.values()))
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
                self.answer()
        assert self.stream.due_response() is None
        if not self.node.known:
            return
        # What refused routes may need is not taken away.
        disputed = any(each.refused for each in self.node.status().types.values())
        for kind, names in self.proxy.names.items():
            should = {
                name: {"@type": kind.type_url, **resource.fields()}
                for name, resource in self.node.snapshot.resources[kind].items()
                if kind.listed_whole or name in names
            }
            bad = {name for name in should if is_bad(should[name])}
            has = self.proxy.held[kind]
            # Only listed types can be removed in the state-of-the-world dialect.
            relevant = (
                has if kind.listed_whole or self.dialect is Dialect.DELTA else {n: has[n] for n in has if n in should}
            )
            assert {name: has.get(name) for name in should.keys() - bad} == {n: should[n] for n in should.keys() - bad}
            if not disputed:
                assert relevant.keys() == should.keys(), kind
                assert self.stream.subscriptions[kind].has_reached(self.node.snapshot.versions[kind])
            status = self.node.status().types[kind]
            assert (status.rejection is not None) == bool(status.refused)
            refused = status.refused & should.keys()
            # A listing of everything is refused as a whole, and holds what is about to go, too.
            whole = disputed and kind.listed_whole and self.dialect is Dialect.STATE_OF_THE_WORLD
            assert bad <= refused if whole else bad == refused, kind
        everything = [each.fields() for named in self.node.snapshot.resources.values() for each in named.values()]
        assert not disputed or any(map(is_bad, everything))

    def check_that_nothing_dangles(self) -> None:
        """Make before break: at no instant a route of the proxy names a cluster that the proxy does not have."""
        for route in self.proxy.held[ROUTE].values():
            for host in route["virtual_hosts"]:
                for each in host["routes"]:
                    assert "route" not in each or each["route"]["cluster"] in self.proxy.held[CLUSTER]

    def teardown(self) -> None:
        self.settle()


class DeltaConversation(Conversation):
    dialect = Dialect.DELTA


Conversation.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, derandomize=True)


class Refusals(Conversation):
    """What is refused is just what is bad, and whatever was sent together with it is in force."""

    to_spoil = (CLUSTER, ENDPOINT, ROUTE)


class DeltaRefusals(Refusals):
    dialect = Dialect.DELTA


for machine in (DeltaConversation, Refusals, DeltaRefusals):
    machine.TestCase.settings = Conversation.TestCase.settings
TestStateOfTheWorldConversation = Conversation.TestCase
TestDeltaConversation = DeltaConversation.TestCase
TestStateOfTheWorldRefusals = Refusals.TestCase
TestDeltaRefusals = DeltaRefusals.TestCase
