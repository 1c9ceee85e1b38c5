"""Which route a call takes, read from the path that the building block is shown."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.checks.catalogue import check
from conformance.probe import EvidenceKind, Feature, PathMatch, PathMatchKind, Probe, Route

PREFIX, EXACT = PathMatchKind.PREFIX, PathMatchKind.EXACT

ROUTES = (
    Route(PathMatch(PREFIX, "/v1"), rewrite="/by-prefix"),
    Route(PathMatch(PREFIX, "/v1/special"), rewrite="/by-longer-prefix"),
    Route(PathMatch(EXACT, "/v1/special/one"), rewrite="/by-exact-path"),
    Route(PathMatch(EXACT, "/v2/one"), rewrite="/exactly"),
    Route(PathMatch(PREFIX, "/v3"), methods=("DELETE", "PUT"), rewrite="/by-method"),
)


@dataclass(frozen=True)
class Way:
    """A call, the path that the building block must be shown, and what it means if it is not."""

    method: str
    path: str
    shown: str
    reason: str


WAYS = (
    Way("GET", "/", "/", "service-prefix-kept"),
    Way("GET", "/plain/path", "/plain/path", "service-prefix-kept"),
    Way("GET", "/v1", "/by-prefix", "prefix-route-misapplied"),
    Way("GET", "/v1/births/7", "/by-prefix/births/7", "prefix-route-misapplied"),
    Way("GET", "/v10/births", "/v10/births", "prefix-route-misapplied"),
    Way("GET", "/v2/one", "/exactly", "exact-route-misapplied"),
    Way("GET", "/v2/one/more", "/v2/one/more", "exact-route-misapplied"),
    Way("GET", "/v2/on", "/v2/on", "exact-route-misapplied"),
    Way("DELETE", "/v3/births", "/by-method/births", "method-route-misapplied"),
    Way("PUT", "/v3/births", "/by-method/births", "method-route-misapplied"),
    Way("GET", "/v3/births", "/v3/births", "method-route-misapplied"),
    Way("GET", "/v1/special/two", "/by-longer-prefix/two", "less-specific-route-won"),
    Way("GET", "/v1/special/one", "/by-exact-path", "less-specific-route-won"),
)


@check(
    id="ROUTE-003",
    title="A call takes the most specific route that matches, without the service's prefix",
    proves=["ROUTE-R1", "ROUTE-R2", "ROUTE-R3", "ROUTE-R6", "ROUTE-R10"],
    needs=[Feature.ROUTING],
    evidence=["plain call", "routes", "paths shown to the building block"],
    fails={
        "service-prefix-kept": "The building block sees the path of its own contract, without the service's prefix.",
        "prefix-route-misapplied": "A prefix route takes all calls below its path, and none that only begin alike.",
        "exact-route-misapplied": "An exact route takes calls of its very path, and of no longer or shorter one.",
        "method-route-misapplied": "A method route takes calls of its methods, and no others.",
        "less-specific-route-won": "Where several routes match, the most specific one takes the call.",
    },
    inconclusive={
        "plain-call-failed": "A plain call is answered by the witness.",
        "policy-not-in-force": "Calls are decided by the policy with the routes under test.",
    },
    remedy="Order routes by specificity (exact before prefix, long before short, with methods before "
    "without), match prefixes by segment (path_separated_prefix) and methods by a header matcher on "
    ":method, and let prefix_rewrite take the service's own prefix away.",
)
async def takes_the_most_specific_route(probe: Probe) -> None:
    """Routes decide which code of a building block runs: a wrong one is a wrong answer, or something nobody wanted.

    Each route under test rewrites the path in its own way, so the path that arrives at the witness tells which route
    was taken. (Envoy documentation, "HTTP routing".)
    """
    plain = await probe.call()
    probe.record_exchange("plain call", plain, await probe.line(plain))
    probe.require("plain-call-failed", plain.status == 200, seen=plain.summary)
    policy = probe.policy().changed(routes=ROUTES)
    in_force = await probe.put_in_force(policy)
    shown = [(route.match.kind.value, route.match.path, list(route.methods), route.rewrite) for route in ROUTES]
    probe.record("routes", EvidenceKind.CONFIGURATION, {"routes": [list(each) for each in shown]})
    probe.require("policy-not-in-force", in_force, seen=f"no call was decided by policy {policy.version}")

    taken: list[tuple[Way, str]] = []
    async with probe.connection() as connection:
        for way in WAYS:
            exchange = await probe.call(way.path, method=way.method, connection=connection)
            arrivals = probe.arrivals(exchange.nonce)
            taken.append((way, arrivals[0].target if arrivals else f"nothing ({exchange.summary})"))
    observed = {f"{way.method} {way.path}": target for way, target in taken}
    probe.record("paths shown to the building block", EvidenceKind.ARRIVALS, observed)

    for way, target in taken:
        seen = f"{way.method} {way.path} was shown as {target}, not as {way.shown}"
        probe.expect(way.reason, target == way.shown, seen=seen)
