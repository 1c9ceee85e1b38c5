"""Ready-made `curl` lines for a mesh that has just started: what is let through, and what is refused and by whom.

Invariants: each line can be pasted into a shell; what it says to expect follows from the policies in force; nothing is
shown that the policies or the chosen building blocks do not make possible.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.mesh.reference import AUTHORITY, MEMBERS, OPERATOR, STRANGER, ReferenceMesh
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


@dataclass(frozen=True)
class _Way:
    """A call that the policies let through."""

    caller: MemberPolicy
    service: ServicePolicy
    operation: Operation


def curl_lines(mesh: ReferenceMesh, page: str) -> list[Line]:
    """Lines through a security server, past it, to the policy admin service and to the live page."""
    ways = [way for way in _ways(mesh) if way.operation.method == "GET" or _body(way)]
    # Whoever only wants to see it work gets what is simplest to read.
    ways.sort(key=lambda way: way.operation.method != "GET")
    lines = list[Line]()
    if ways:
        lines += _through_security_server(mesh, ways)
        lines += _with_certificates(mesh, ways[0])
    return [*lines, *_policy_admin(mesh), *_live_page(page)]


def _ways(mesh: ReferenceMesh) -> Iterator[_Way]:
    configuration = mesh.governance.configuration
    for name, service in configuration.services.items():
        if name not in mesh.applications.running:
            continue
        for caller in configuration.members.values():
            if name in caller.calls:
                for operation in _allowed(service, caller):
                    if "{" not in operation.path:
                        yield _Way(caller, service, operation)


def _allowed(service: ServicePolicy, caller: MemberPolicy) -> Iterator[Operation]:
    for rule in service.access:
        if rule.caller == caller.identity and not rule.paths and not rule.methods:
            yield from rule.operations or service.contract


def _through_security_server(mesh: ReferenceMesh, ways: list[_Way]) -> Iterator[Line]:
    first = ways[0]
    caller = first.caller
    outbound = _address("http", mesh.members[caller.member].outbound)
    yield _call(f"{caller.member} calls {first.service.service}", "200", f"{outbound}{_path(first)}", *_body(first))
    for way in ways:
        if way.operation.method == "POST" and (way.service.service != "birth-registry" or _has_chain(mesh)):
            status = "201" if way.service.service == "birth-registry" else "200"
            shows = f"{way.caller.member} calls {way.service.service}, which calls others"
            at = _address("http", mesh.members[way.caller.member].outbound)
            yield _call(shows if status == "201" else shows.partition(",")[0], status, f"{at}{_path(way)}", *_body(way))
            break
    provider = mesh.governance.configuration.members[first.service.provider]
    if first.service.code and provider.id and caller.id:
        path = f"/r1/{provider.id}/{first.service.code}{first.operation.path}"
        header = f"{mesh.governance.configuration.mesh.client_header}: {caller.id}"
        yield _call("the same by its X-Road address", "200", f"{outbound}{path}", "-H", header, *_body(first))
    closed = next((each for each in first.service.contract if each not in {*_allowed(first.service, caller)}), None)
    if closed and list(_allowed(first.service, caller)):
        path = f"/{first.service.service}{closed.path.replace('{', '').replace('}', '')}"
        shows = f"no rule lets {caller.member} do this at {first.service.service}"
        yield _call(shows, "403", f"{outbound}{path}", "-X", closed.method)
    other = next((name for name in mesh.governance.configuration.services if name not in caller.calls), None)
    if other:
        yield _call(f"{caller.member} has no way to {other}", "404", f"{outbound}/{other}/")


def _with_certificates(mesh: ReferenceMesh, way: _Way) -> Iterator[Line]:
    inbound = _address("https", mesh.members[way.service.provider].inbound)
    url, body = f"{inbound}{_path(way)}", _body(way)
    trust = ("--cacert", str(mesh.certificates / AUTHORITY))
    provider = way.service.provider
    yield _call(
        f"past the caller's security server, with its certificate, to that of {provider}",
        "200",
        url,
        *trust,
        *_shown(mesh, way.caller.member),
        *body,
    )
    yield _call("without a certificate", "refused", url, *trust, *body)
    stranger = ("--cert", str(mesh.certificate(STRANGER)))
    yield _call(
        "with a certificate of an authority that is not trusted",
        "refused",
        url,
        *trust,
        *stranger,
        *body,
    )
    callers = {rule.caller for rule in way.service.access}
    other = next((each for each in mesh.members.values() if each.identity not in callers), None)
    if other:
        shown = _shown(mesh, other.name)
        yield _call(f"as {other.name}, for whom there is no rule", "403", url, *trust, *shown, *body)


def _policy_admin(mesh: ReferenceMesh) -> Iterator[Line]:
    url = f"{mesh.governance.service.url}/v1/policies"
    trust = ("--cacert", str(mesh.certificates / AUTHORITY))
    member = next(iter(mesh.members))
    operator = ("--cert", str(mesh.certificate(OPERATOR)))
    yield _call("the operator reads all policies", "200", url, *trust, *operator)
    yield _call("a member may not", "403", url, *trust, *_shown(mesh, member))
    yield _call("without a certificate", "refused", url, *trust)


def _live_page(page: str) -> Iterator[Line]:
    yield _call("what the live page shows, for programs", "200", f"{page}status.json")
    yield _call("metrics for Prometheus", "200", f"{page}metrics")


def _call(shows: str, expect: str, url: str, *options: str) -> Line:
    return Line(shows, expect, ("curl", "--include", *options, url))


def _path(way: _Way) -> str:
    return f"/{way.service.service}{way.operation.path}"


def _body(way: _Way) -> tuple[str, ...]:
    body = BODIES.get((way.service.service, way.operation))
    return ("--json", json.dumps(body)) if body else ()


def _has_chain(mesh: ReferenceMesh) -> bool:
    return mesh.applications.running.keys() >= CHAIN


def _shown(mesh: ReferenceMesh, member: str) -> tuple[str, ...]:
    return ("--cert", str(mesh.certificate(f"{MEMBERS}/{member}")))


def _address(scheme: str, endpoint: Endpoint | None) -> str:
    assert endpoint is not None  # noqa: S101 -- every security server of a running mesh has said where it listens
    return f"{scheme}://{endpoint.host}:{endpoint.port}"
