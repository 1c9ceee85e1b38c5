"""The directory: who is there, what each offers, and what of it the asking member may call.

The shapes are those of X-Road's metadata services for REST (X-Road: Service Metadata Protocol for REST), which the
GovStack Information Mediator took over. Invariant: what is answered is what the newest version says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from starlette.responses import Response

from conformance.model.policies import Kind, MemberPolicy, PolicyChange
from conformance.model.policy import AccessRule, Operation, ServicePolicy
from conformance.policy.service.access import allows, rule_endpoints
from conformance.policy.service.answers import ok
from conformance.policy.service.edge import Call
from conformance.policy.service.feed import known_news
from conformance.policy.service.problems import Problem, Reason
from conformance.policy.store import Store

__all__ = ["Directory"]


class Directory:
    """Members and services of a store, kept in memory and brought up to date at each question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._version = 0
        self._members: dict[str, MemberPolicy] = {}
        self._services: dict[str, ServicePolicy] = {}
        self._one_at_a_time = asyncio.Lock()

    async def list_clients(self, call: Call) -> Response:
        """All members that have an X-Road identifier."""
        await self._enter(call)
        members = sorted(self._members.values(), key=lambda each: each.member)
        return ok({"member": [{"id": _id(each), "name": each.member} for each in members if each.id]})

    async def list_methods(self, call: Call) -> Response:
        """What a member offers."""
        await self._enter(call)
        return self._offers(call, lambda service: [_endpoint(each) for each in service.contract])

    async def allowed_methods(self, call: Call) -> Response:
        """What a member offers and the asking one may call."""
        await self._enter(call)

        def allowed(service: ServicePolicy) -> list[dict[str, str]] | None:
            rules = [rule for rule in service.access if rule.caller == call.caller.identity]
            if not service.contract:
                return sorted(_without_duplicates(rules), key=lambda each: (each["path"], each["method"])) or None
            found = [_endpoint(each) for each in service.contract if any(allows(rule, each) for rule in rules)]
            return found or None

        return self._offers(call, allowed)

    async def _enter(self, call: Call) -> None:
        """Bring the directory up to date, and let in members and those with a role."""
        async with self._one_at_a_time:
            newest = await self._store.version()
            while self._version < newest:
                change = await known_news(self._store, self._version)
                self._apply(change)
                self._version = change.version
        identity = call.caller.identity
        if not call.caller.roles and all(member.identity != identity for member in self._members.values()):
            raise Problem(Reason.FORBIDDEN, f"{identity} is no member of the mesh")

    def _apply(self, change: PolicyChange) -> None:
        for kind, name in change.deleted:
            if kind is Kind.MEMBER:
                self._members.pop(name, None)
            elif kind is Kind.SERVICE:
                self._services.pop(name, None)
        for policy in change.put:
            if isinstance(policy, MemberPolicy):
                self._members[policy.member] = policy
            elif isinstance(policy, ServicePolicy):
                self._services[policy.service] = policy

    def _offers(self, call: Call, endpoints: Callable[[ServicePolicy], list[dict[str, str]] | None]) -> Response:
        wanted = {name: call.path.get(name, "") for name in ("instance", "member_class", "member_code", "subsystem")}
        member = next(
            (each for each in self._members.values() if each.id and vars(each.id) == wanted),
            None,
        )
        if member is None:
            raise Problem(Reason.NOT_FOUND, "there is no member with this identifier")
        offered = []
        for service in sorted(self._services.values(), key=lambda each: each.service):
            if service.provider == member.member and (found := endpoints(service)) is not None:
                code = {"service_code": service.code} if service.code else {}
                offered.append(
                    _id(member)
                    | {"object_type": "SERVICE", "service_type": "REST", "name": service.service}
                    | code
                    | {"endpoint_list": found}
                )
        return ok({"service": offered})


def _without_duplicates(rules: list[AccessRule]) -> list[dict[str, str]]:
    return [dict(pairs) for pairs in {tuple(each.items()) for each in _endpoints(rules)}]


def _endpoints(rules: list[AccessRule]) -> Iterator[dict[str, str]]:
    for rule in rules:
        for method, path in rule_endpoints(rule):
            yield {"method": method, "path": path}


def _endpoint(operation: Operation) -> dict[str, str]:
    return {"method": operation.method, "path": operation.path}


def _id(member: MemberPolicy) -> dict[str, str]:
    identifier = member.id
    if identifier is None:
        return {}
    subsystem = {"subsystem_code": identifier.subsystem} if identifier.subsystem else {}
    return {
        "object_type": "SUBSYSTEM" if identifier.subsystem else "MEMBER",
        "xroad_instance": identifier.instance,
        "member_class": identifier.member_class,
        "member_code": identifier.member_code,
        **subsystem,
    }
