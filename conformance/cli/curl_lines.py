"""Ready-made `curl` lines for a mesh that has just started: what is let through, and what is refused and by whom.

Invariants: each line can be pasted into a shell; what it says to expect follows from the policies in force; nothing is
shown that the policies or the chosen building blocks do not make possible.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.mesh.partner import FOREIGN_SERVICE
from conformance.mesh.reference import (
    AUTHORITY,
    MEMBERS,
    OPERATOR,
    PARTNERS,
    PARTNERS_OTHER,
    STRANGER,
    ReferenceMesh,
)
from conformance.model.policies import MemberPolicy
from conformance.model.policy import Endpoint, Operation, ServicePolicy

__all__ = ["Line", "curl_lines"]

MOTHER, FATHER = "11111111-1111-4111-8111-111111111111", "11111111-1111-4111-8111-222222222222"
"""Persons whom the reference building blocks know from the beginning."""
BODIES = {
    ("birth-registry", Operation("POST", "/v1/births")): {
        "child": {"givenName": "Lena", "familyName": "Example", "sex": "female"},
        "dateOfBirth": "2026-02-10",
        "placeOfBirth": "District hospital",
        "motherId": MOTHER,
        "fatherId": FATHER,
    },
    ("citizen-id", Operation("POST", "/v1/verifications")): {"personId": MOTHER},
}
CHAIN = {"birth-registry", "patient-registry", "citizen-id"}
"""The registration of a birth goes through all of these."""


@dataclass(frozen=True)
class Line:
    """A command, what it shows, and what to expect: a status, or `refused` for one that gets no answer."""

    shows: str
    expect: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"# {self.shows}: {self.expect}\n{shlex.join(self.words)}"


def curl_lines(mesh: ReferenceMesh, page: str) -> list[Line]:
    """Lines through a security server, past it, to the policy admin service and to the live page."""
    ways = [way for way in _ways(mesh) if way.operation.method == "GET" or way.body]
    # Whoever wants to see it work gets first what is simplest to read.
    ways.sort(key=lambda way: way.operation.method != "GET")
    lines = [*_let_through(mesh, ways), *_past_security_server(mesh, ways[0])] if ways else []
    return [*lines, *_at_the_border(mesh), *_policy_admin(mesh), *_live_page(page)]


@dataclass(frozen=True)
class _Way:
    """A call that the policies let through, to a building block that runs."""

    caller: MemberPolicy
    service: ServicePolicy
    operation: Operation

    @property
    def path(self) -> str:
        """As the caller's security server and the provider's see it."""
        return f"/{self.service.service}{self.operation.path}"

    @property
    def body(self) -> tuple[str, ...]:
        """The option with the body, if one is known."""
        body = BODIES.get((self.service.service, self.operation))
        return ("--json", json.dumps(body)) if body else ()

    @property
    def status(self) -> str:
        """What the building block answers."""
        return "201" if self.service.service == "birth-registry" and self.body else "200"


def _ways(mesh: ReferenceMesh) -> Iterator[_Way]:
    policies, running = mesh.governance.configuration, mesh.applications.running.keys()
    for service in policies.services.values():
        # Those that ask for more than a certificate, or fail on purpose, are no beginning.
        if service.service not in running or service.tokens or service.fault_injection:
            continue
        for caller in policies.members.values():
            if service.service in caller.calls:
                for operation in _allowed(service, caller):
                    way = _Way(caller, service, operation)
                    if "{" not in operation.path and (way.status != "201" or running >= CHAIN):
                        yield way


def _allowed(service: ServicePolicy, caller: MemberPolicy) -> Iterator[Operation]:
    for rule in service.access:
        if rule.caller == caller.identity and not rule.paths and not rule.methods:
            yield from rule.operations or service.contract


def _let_through(mesh: ReferenceMesh, ways: list[_Way]) -> Iterator[Line]:
    """By the security server of a caller, and what it or its peer refuses."""
    policies, first = mesh.governance.configuration, ways[0]
    service, caller, provider = first.service, first.caller, policies.members[first.service.provider]
    for way in (first, *(other for other in ways[1:] if other.body)):
        others = ", which calls others" if way.status == "201" else ""
        shows = f"{way.caller.member} calls {way.service.service}{others}"
        yield _call(shows, way.status, f"{_outbound(mesh, way.caller)}{way.path}", *way.body)
    at = _outbound(mesh, caller)
    if service.code and provider.id and caller.id:
        address = f"{at}/r1/{provider.id}/{service.code}{first.operation.path}"
        header = ("--header", f"{policies.mesh.client_header}: {caller.id}")
        yield _call(f"the way to {service.service} by its X-Road address", first.status, address, *header, *first.body)
    allowed = {*_allowed(service, caller)}
    for operation in service.contract:
        if operation not in allowed:
            path = operation.path.replace("{", "").replace("}", "")
            shows = f"no rule lets {caller.member} do this at {service.service}"
            yield _call(shows, "403", f"{at}/{service.service}{path}", "--request", operation.method)
            break
    for other in policies.services:
        if other not in {*caller.calls, caller.member}:
            yield _call(f"{caller.member} has no way to {other}", "404", f"{at}/{other}/")
            break


def _past_security_server(mesh: ReferenceMesh, way: _Way) -> Iterator[Line]:
    """Straight to the security server of a provider, with certificates of several and with none."""
    call = (f"{_address('https', mesh.members[way.service.provider].inbound)}{way.path}", *_trust(mesh))
    member = way.caller.member
    shows = f"past its own security server to that of {way.service.provider}, with the certificate of {member}"
    yield _call(shows, way.status, *call, *_as(mesh, f"{MEMBERS}/{member}"), *way.body)
    # Whoever is refused needs no body, and curl stumbles if an answer overtakes it.
    yield _call("without a certificate", "refused", *call)
    yield _call("with a certificate of an authority that nobody trusts", "refused", *call, *_as(mesh, STRANGER))
    callers = {rule.caller for rule in way.service.access}
    for other in mesh.members.values():
        if other.identity not in callers:
            shows = f"with the certificate of {other.name}, for whom there is no rule"
            yield _call(shows, "403", *call, *_as(mesh, f"{MEMBERS}/{other.name}"))
            break


def _at_the_border(mesh: ReferenceMesh) -> Iterator[Line]:
    """Callers of the other trust domain, and one of this mesh who has no business there."""
    border = next((member.border for member in mesh.members.values() if member.border), None)
    if border is None or mesh.partner is None or FOREIGN_SERVICE not in mesh.applications.running:
        return
    operation = Operation("POST", "/v1/verifications")
    body = ("--json", json.dumps(BODIES[FOREIGN_SERVICE, operation]))
    call = (f"{_address('https', border)}/{FOREIGN_SERVICE}{operation.path}", *_trust(mesh))
    partner = mesh.partner.name
    shows = f"a caller of {partner} that is named comes in at the border"
    yield _call(shows, "200", *call, *_as(mesh, PARTNERS), *body)
    yield _call(f"another one of {partner}", "refused", *call, *_as(mesh, PARTNERS_OTHER))
    yield _call("a member, at the border", "refused", *call, *_as(mesh, f"{MEMBERS}/{FOREIGN_SERVICE}"))
    yield _call("without a certificate, at the border", "refused", *call)


def _policy_admin(mesh: ReferenceMesh) -> Iterator[Line]:
    call = (f"{mesh.governance.policy_admin.url}/v1/policies", *_trust(mesh))
    yield _call("the operator reads all policies", "200", *call, *_as(mesh, OPERATOR))
    yield _call("a member may not", "403", *call, *_as(mesh, f"{MEMBERS}/{next(iter(mesh.members))}"))
    yield _call("without a certificate", "refused", *call)


def _live_page(page: str) -> Iterator[Line]:
    yield _call("what the live page shows, for programs", "200", f"{page}status.json")
    yield _call("metrics for Prometheus", "200", f"{page}metrics")


def _call(shows: str, expect: str, url: str, *options: str) -> Line:
    return Line(shows, expect, ("curl", "--include", *options, url))


def _trust(mesh: ReferenceMesh) -> tuple[str, ...]:
    return ("--cacert", str(mesh.certificates / AUTHORITY))


def _as(mesh: ReferenceMesh, name: str) -> tuple[str, ...]:
    return ("--cert", str(mesh.certificate(name)))


def _outbound(mesh: ReferenceMesh, caller: MemberPolicy) -> str:
    return _address("http", mesh.members[caller.member].outbound)


def _address(scheme: str, endpoint: Endpoint | None) -> str:
    assert endpoint is not None  # noqa: S101 -- every security server of a running mesh has said where it listens
    return f"{scheme}://{endpoint.host}:{endpoint.port}"
