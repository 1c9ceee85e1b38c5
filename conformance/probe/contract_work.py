"""Exercising a building block by its contract: one honest request for each operation, and generated ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.openapi.answers import Answer, Breach, ContractValidator
from conformance.openapi.contract import Contract
from conformance.openapi.examples import ExampleMaker, ExampleRequest, NoRequest, in_exercise_order
from conformance.probe.access_log import LogLine
from conformance.probe.exchange import Exchange

__all__ = ["Exercised", "exercise"]

NOBODY_THERE = "no_healthy_upstream"
"""The building block ought to have got it but is out of service (Envoy documentation: "Response code details")."""


@dataclass(frozen=True)
class Exercised:
    """What became of one operation.

    Attributes:
        operation: method and path template.
        obstacle: why no honest request could be built; then there is nothing else.
        exchange: the call and its answer.
        line: what the subject's security server wrote about it, or the caller's if it never left that one.
        breaches: where the answer is not what the contract says.
        unjudgeable: rules of the contract that cannot be read.

    """

    operation: str
    obstacle: str = ""
    exchange: Exchange | None = None
    line: LogLine | None = None
    breaches: tuple[Breach, ...] = ()
    unjudgeable: tuple[Breach, ...] = ()

    @property
    def answered(self) -> bool:
        """The building block itself answered: its security server got a whole response from it."""
        details = str((self.line or {}).get("details"))
        return self.exchange is not None and self.exchange.status is not None and details == "via_upstream"

    @property
    def refused(self) -> bool:
        """A security server ended the call by itself, such as for an encoded slash; the building block never saw it."""
        if self.exchange is None or self.answered:
            return False
        line = self.line or {}
        return not line.get("upstream_host") and line.get("details") != NOBODY_THERE

    @property
    def succeeded(self) -> bool:
        """The answer was a success or a redirection."""
        return self.answered and self.exchange is not None and 200 <= (self.exchange.status or 0) < 400

    def to_json(self) -> dict[str, Any]:
        """As evidence."""
        described: dict[str, Any] = {"operation": self.operation}
        if self.obstacle:
            return described | {"obstacle": self.obstacle}
        if self.exchange is not None:
            described |= self.exchange.to_json()
        if self.line is not None:
            described["security_server"] = {key: self.line.get(key) for key in ("server", "details", "flags")}
        described["breaches"] = [f"{breach.kind}: {breach.message}" for breach in self.breaches]
        if self.unjudgeable:
            described["unjudgeable"] = [breach.message for breach in self.unjudgeable]
        return described


async def exercise(
    contract: Contract,
    *,
    call: Callable[[ExampleRequest], Awaitable[Exchange]],
    look_up: Callable[[Exchange], Awaitable[LogLine | None]],
) -> AsyncIterator[Exercised]:
    """Call every operation of a contract once, in an order that makes sense, and judge each answer by the contract.

    Args:
        contract: of the subject.
        call: sends a request through the mesh.
        look_up: finds its access-log line at the subject's security server, or at the caller's if it never left that.

    """
    maker = ExampleMaker(contract)
    validator = await asyncio.to_thread(ContractValidator, contract)
    for operation in in_exercise_order(contract.operations):
        request = maker.request(operation)
        if isinstance(request, NoRequest):
            yield Exercised(operation.key, obstacle=request.reason)
            continue
        exchange = await call(request)
        exercised = Exercised(operation.key, exchange=exchange, line=await look_up(exchange))
        if exercised.answered and exchange.status is not None:
            answer = Answer(exchange.status, exchange.headers, exchange.body)
            found = await asyncio.to_thread(validator.problems_of, request, answer)
            exercised = replace(
                exercised,
                breaches=tuple(breach for breach in found if breach.kind != "unjudgeable"),
                unjudgeable=tuple(breach for breach in found if breach.kind == "unjudgeable"),
            )
        yield exercised


def merged_headers(own: Mapping[str, str], request: ExampleRequest) -> list[tuple[str, str]]:
    """The request's headers, then those of the run file that it does not have."""
    names = {name.lower() for name, _ in request.headers}
    return [*request.headers, *((name, value) for name, value in own.items() if name.lower() not in names)]
