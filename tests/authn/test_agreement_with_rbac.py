"""The proxies' own filter and the authentication service enforce the same rules: they agree about every call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from authn_parts import (
    CLINIC,
    REGISTRY,
    SCHOOL,
    TRUST,
    asking,
    change,
    envoy,
    listener,
    mutual_tls,
    private_folder,
    route,
    told,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conformance.authn import AuthenticationService
from conformance.controlplane.rendering.rules import access_rules, deny_everybody
from conformance.controlplane.rendering.view import Surroundings
from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind, ServicePolicy
from conformance.protobuf.listen import UnixListen

RBAC = "envoy.filters.http.rbac"
CREDENTIALS = {member.identity: TRUST.issue(member.member) for member in (CLINIC, SCHOOL)}
EXACT, PREFIX = PathMatchKind.EXACT, PathMatchKind.PREFIX


@dataclass(frozen=True)
class Attempt:
    caller: str
    method: str
    target: str


async def statuses(policies: list[ServicePolicy], attempts: Iterable[Attempt]) -> list[tuple[Attempt, int, int]]:
    """What a real Envoy answers to each attempt where its own filter decides, and where it asks the service."""
    async with private_folder() as (folder, guard):
        service = AuthenticationService()
        listen = UnixListen(folder / "authn.sock")
        await service.apply(change(1, REGISTRY, CLINIC, SCHOOL, *policies))
        await service.start(listen)
        by_rules = [
            route(policy.service, {RBAC: access_rules(policy, f"/{policy.service}", Surroundings())})
            for policy in policies
        ]
        by_asking = [route(policy.service, told("inbound", policy.service, "registry")) for policy in policies]
        own = {"name": RBAC, "typed_config": deny_everybody()}
        tls = mutual_tls(folder)
        listeners = [
            listener("own", folder, [own], by_rules, tls=tls),
            listener("asking", folder, [asking()], by_asking, tls=tls),
        ]
        seen = []
        try:
            async with envoy(folder, guard, listeners, listen.path) as proxy:
                clients = {identity: proxy.client(credential) for identity, credential in CREDENTIALS.items()}
                for attempt in attempts:
                    target = {"target": attempt.target.encode()}
                    one, other = [
                        await clients[attempt.caller].request(attempt.method, proxy.url(name, "/"), extensions=target)
                        for name in ("own", "asking")
                    ]
                    seen.append((attempt, one.status_code, other.status_code))
                for client in clients.values():
                    await client.aclose()
        finally:
            await service.close()
        return seen


TABLE = ServicePolicy(
    "table",
    provider="registry",
    access=(
        AccessRule(CLINIC.identity, paths=(PathMatch(PREFIX, "/v1/public"), PathMatch(EXACT, "/v1/report"))),
        AccessRule(SCHOOL.identity, methods=("POST", "PUT"), paths=(PathMatch(EXACT, "/v1/public"),)),
    ),
)
LET_THROUGH = {
    ("clinic", "GET", "/v1/public"),
    ("clinic", "GET", "/v1/public/"),
    ("clinic", "GET", "/v1/public/a;b"),
    ("clinic", "GET", "/v1/public?to=/v1/secret"),
    ("clinic", "GET", "/v1/public/../public/a"),
    ("clinic", "GET", "//v1//public"),
    ("clinic", "GET", "/v1/%70ublic"),
    ("clinic", "DELETE", "/v1/report"),
    ("school", "POST", "/v1/public"),
    ("school", "PUT", "/v1/public?x"),
}
REFUSED = {
    ("clinic", "GET", "/v1/publications"),
    ("clinic", "GET", "/v1/public/../secret"),
    ("clinic", "GET", "/v1/public/%2e%2e/secret"),
    ("clinic", "GET", "/v1/public/..;x/secret"),
    ("clinic", "GET", "/v1/public%2fa"),
    ("clinic", "GET", "/v1/public;a/b"),
    ("clinic", "GET", "/v1/PUBLIC"),
    ("clinic", "GET", "/v1/report/"),
    ("clinic", "GET", "/v1/report/a"),
    ("clinic", "GET", "/"),
    ("school", "GET", "/v1/public"),
    ("school", "POST", "/v1/public/"),
    ("school", "POST", "/v1/report"),
}


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str, str], tuple[int, int]]:
    table = sorted(LET_THROUGH | REFUSED)
    identities = {"clinic": CLINIC.identity, "school": SCHOOL.identity}
    attempts = [Attempt(identities[caller], method, f"/table{path}") for caller, method, path in table]
    seen = asyncio.run(statuses([TABLE], attempts))
    return {case: (own, asked) for case, (_, own, asked) in zip(table, seen, strict=True)}


@pytest.mark.parametrize("case", sorted(LET_THROUGH), ids=" ".join)
def test_both_let_it_through(answers: dict[tuple[str, str, str], tuple[int, int]], case: tuple[str, str, str]):
    assert answers[case] == (200, 200)


@pytest.mark.parametrize("case", sorted(REFUSED), ids=" ".join)
def test_both_refuse_it(answers: dict[tuple[str, str, str], tuple[int, int]], case: tuple[str, str, str]):
    own, asked = answers[case]
    assert own == asked
    assert own in {400, 403}


SEGMENTS = st.sampled_from(["v1", "public", "publications", "a;b", "PUBLIC", "%70ublic", "%C3%A4", "a+b", "a%20b"])
TRICKS = st.sampled_from(["..", ".", "..;x", ".;", "", "%2e%2e", "..%2f", "%2E", ";", "..;", "...", "..x;"])
RULE_PATHS = st.lists(st.sampled_from(["v1", "public", "a;b", "a+b"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
TARGETS = st.lists(st.one_of(SEGMENTS, TRICKS), max_size=5).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.sampled_from(["", "", "?", "?a=/v1/public", "?/..;/"])
CALLERS = st.sampled_from(list(CREDENTIALS))
METHODS = st.sampled_from(["GET", "POST", "DELETE"])
TEMPLATES = st.lists(st.sampled_from(["v1", "public", "a;b", "{id}", "a{x}", "ä", "{a}.{b}", "a b"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
OPERATIONS = st.lists(st.builds(Operation, METHODS, TEMPLATES), max_size=2).map(tuple)
RULES = st.builds(
    AccessRule,
    CALLERS,
    methods=st.lists(METHODS, max_size=2, unique=True).map(tuple),
    operations=OPERATIONS,
    paths=st.lists(st.builds(PathMatch, st.sampled_from(PathMatchKind), RULE_PATHS), max_size=2).map(tuple),
)
SERVICES = 4


def worlds() -> st.SearchStrategy[tuple[list[ServicePolicy], list[Attempt]]]:
    services = [f"s{number}" for number in range(SERVICES)]
    rules = st.lists(st.lists(RULES, max_size=3), min_size=SERVICES, max_size=SERVICES)
    contracts = st.lists(OPERATIONS, min_size=SERVICES, max_size=SERVICES)
    targets = st.builds(lambda *parts: "".join(parts), st.sampled_from(services).map("/{}".format), TARGETS, QUERIES)
    return st.tuples(
        st.tuples(rules, contracts).map(
            lambda drawn: [
                ServicePolicy(name, provider="registry", access=tuple(some), contract=contract)
                for name, some, contract in zip(services, *drawn, strict=True)
            ]
        ),
        st.lists(st.builds(Attempt, CALLERS, METHODS, targets), min_size=60, max_size=60),
    )


# Each example starts an Envoy and has many calls, so there is nothing to be gained by making a failing one smaller.
@settings(max_examples=10, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
@given(worlds())
def test_they_agree_about_any_rules_and_any_calls(world: tuple[list[ServicePolicy], list[Attempt]]):
    policies, attempts = world
    seen = asyncio.run(statuses(policies, attempts))
    # Where a path leads out of every service, the one says 403 and the other 404.
    different = [each for each in seen if (each[1] == 200) != (each[2] == 200)]
    assert not different, [policy.access for policy in policies]
