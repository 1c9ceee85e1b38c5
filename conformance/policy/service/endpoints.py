"""Endpoints of a service, added and removed while it runs: each an ordinary change of the service's policy.

Whoever adds an endpoint does not care what else the policy says, so a clash with another author is tried again.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from conformance.model.policies import Kind, PolicyKey
from conformance.policy.service import parameters
from conformance.policy.service.answers import ok
from conformance.policy.service.edge import Call
from conformance.policy.service.forms import EndpointForm, name_of, read
from conformance.policy.service.problems import Flaw, Problem, Reason
from conformance.policy.service.writing import Change, Writer
from conformance.policy.store import Store, Write

__all__ = ["Endpoints"]

TRIES = 10
STATUS = "../../../versions/{}/status"
ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")

EndpointList = list[dict[str, Any]]


class Endpoints:
    """The endpoints of the services of a store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

    async def put_endpoint(self, call: Call) -> Response:
        """Add an endpoint, or change it."""
        host, port = _address(call)
        said = read(EndpointForm, call.body).model_dump(exclude_unset=True)

        def put(endpoints: EndpointList) -> EndpointList:
            place = _place(endpoints, host, port)
            endpoint = {"host": host, "port": port, **said}
            return [*endpoints, endpoint] if place is None else [*endpoints[:place], endpoint, *endpoints[place + 1 :]]

        change, count = await self._changed(call, put)
        return _answer(change, status=201 if count > 0 else 200)

    async def delete_endpoint(self, call: Call) -> Response:
        """Remove an endpoint: it gets no new calls."""
        host, port = _address(call)

        def delete(endpoints: EndpointList) -> EndpointList:
            place = _place(endpoints, host, port)
            if place is None:
                raise Problem(Reason.NOT_FOUND, f"the service has no endpoint {call.path['address']}")
            return endpoints[:place] + endpoints[place + 1 :]

        change, _ = await self._changed(call, delete)
        return _answer(change)

    async def _changed(self, call: Call, make: Callable[[EndpointList], EndpointList]) -> tuple[Change, int]:
        """The change, and how many endpoints there are more than before."""
        key: PolicyKey = (Kind.SERVICE, call.path["name"])
        note = parameters.note(call)
        tries = 0
        while True:
            tries += 1
            stored = await self._store.document(key)
            if stored is None:
                raise Problem(Reason.NOT_FOUND, f"there is no policy {name_of(key)}")
            old: EndpointList = list(stored.document.get("endpoints", []))
            new = make(old)
            write = Write(key, {**stored.document, "endpoints": new}, stored.changed_in)
            try:
                change = await self._writer.commit(call, [write], {key: stored}, note, Reason.CONFLICT)
            except Problem as problem:
                if problem.reason is not Reason.CONFLICT or tries == TRIES:
                    raise
            else:
                return change, len(new) - len(old)


def _place(endpoints: EndpointList, host: str, port: int) -> int | None:
    """Which endpoint has this address, however it is written."""
    address = ipaddress.ip_address(host)
    for place, each in enumerate(endpoints):
        if each["port"] == port and ipaddress.ip_address(each["host"]) == address:
            return place
    return None


def _address(call: Call) -> tuple[str, int]:
    found = ADDRESS.fullmatch(call.path["address"])
    try:
        host = ipaddress.ip_address((found["v6"] or found["v4"]) if found else "")
    except ValueError:
        host = None
    port = int(found["port"]) if found else 0
    if host is None or not 1 <= port <= 65535:
        reason = "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"
        raise Problem(Reason.INVALID, "the address is not valid", [Flaw(reason, parameter="address")])
    return str(host), port


def _answer(change: Change, *, status: int = 200) -> Response:
    return ok(change.to_json(), status=status, headers={"location": STATUS.format(change.version)})
