"""Exercising a building block by its contract: one honest request for each operation, and generated ones."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.mesh import CALLER, Mesh
from conformance.openapi.answers import Answer, Breach, ContractValidator
from conformance.openapi.contract import Contract
from conformance.openapi.examples import ExampleMaker, ExampleRequest, NoRequest, in_exercise_order
from conformance.openapi.fuzz_report import FuzzReport
from conformance.openapi.fuzzing import ClientTls, FuzzSettings, fuzz
from conformance.probe.access_log import LogLine
from conformance.probe.exchange import Exchange, KeptConnection

if TYPE_CHECKING:
    from conformance.probe.probe import Probe

__all__ = ["Contracts", "Exercised"]

FORWARDED_HEADER = "x-envoy-upstream-service-time"
"""Envoy adds it to every answer that it hands on, and to none of its own (its documentation: "HTTP router filter")."""
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


class Contracts:
    """What a check may ask of the subject by its contracts. Belongs to a probe."""

    def __init__(self, probe: Probe, mesh: Mesh) -> None:
        self._probe = probe
        self._mesh = mesh

    async def exercise(self, contract: Contract) -> list[Exercised]:
        """Call every operation of a contract once, through the mesh, in an order that makes sense, and judge each
        answer by the contract.
        """
        maker = ExampleMaker(contract)
        validator = await asyncio.to_thread(ContractValidator, contract)
        async with self._probe.connection() as kept:
            return [
                await self._exercised(operation.key, maker.request(operation), validator, kept)
                for operation in in_exercise_order(contract.operations)
            ]

    async def _exercised(
        self, operation: str, request: ExampleRequest | NoRequest, validator: ContractValidator, kept: KeptConnection
    ) -> Exercised:
        if isinstance(request, NoRequest):
            return Exercised(operation, obstacle=request.reason)
        subject = self._probe.subject
        exchange = await self._probe.call(
            request.path,
            method=request.method,
            service=subject.name,
            headers=_merged_headers(subject.headers, request),
            body=request.body or b"",
            connection=kept,
        )
        exercised = Exercised(operation, exchange=exchange, line=await self._probe.last_line(exchange))
        if not exercised.answered or exchange.status is None:
            return exercised
        answer = Answer(exchange.status, exchange.headers, exchange.body)
        found = await asyncio.to_thread(validator.problems_of, request, answer)
        return replace(
            exercised,
            breaches=tuple(breach for breach in found if breach.kind != "unjudgeable"),
            unjudgeable=tuple(breach for breach in found if breach.kind == "unjudgeable"),
        )

    async def generate_input(self, contract: Contract) -> FuzzReport:
        """Send generated requests for every operation straight to the subject's security server, as the caller."""
        mesh, subject, timeouts = self._mesh, self._probe.subject, self._probe.timeouts
        skipped = set(subject.skipped_operations)
        door = self._probe.door.endpoint
        with tempfile.TemporaryDirectory(prefix="generated-", dir=mesh.folder) as folder:
            credential = mesh.trust_domain.issue(mesh.identity_path(CALLER)).written_to(Path(folder))
            authorities = Path(folder, "authorities.pem")
            await asyncio.to_thread(authorities.write_bytes, mesh.trust_domain.bundle_pem)
            return await fuzz(
                contract,
                f"https://{door.host}:{door.port}/{subject.name}",
                folder=Path(folder),
                guard=mesh.guard,
                settings=FuzzSettings(
                    seed=subject.seed,
                    max_examples=subject.generated_examples,
                    request_timeout_s=timeouts.request,
                    deadline_s=timeouts.generated_input,
                    headers=subject.headers,
                    tls=ClientTls(credential.certificate_chain, credential.private_key, authorities),
                    only=[each.key for each in contract.operations if each.key not in skipped] if skipped else None,
                    origin_header=FORWARDED_HEADER,
                    come_from=mesh.sites.server(CALLER).namespace,
                ),
            )


def _merged_headers(own: Mapping[str, str], request: ExampleRequest) -> list[tuple[str, str]]:
    """The request's headers, then those of the run file that it does not have."""
    names = {name.lower() for name, _ in request.headers}
    return [*request.headers, *((name, value) for name, value in own.items() if name.lower() not in names)]
