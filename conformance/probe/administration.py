"""The policy admin service as an operator uses it: change, validate, roll back, and ask what became of it.

Invariants: nothing is asked of the store behind the service's back; what the service refuses is an answer to be judged,
not an error of the check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from conformance.mesh import WITNESS, Mesh, Propagation
from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.policies import Kind
from conformance.model.policy import ServicePolicy
from conformance.model.run_file import Overlay
from conformance.policy.client import ANY, PolicyAdminClient, VersionStatus
from conformance.policy.documents import InvalidPolicies, Problem, to_document
from conformance.policy.store import Document, Stored, Write

__all__ = ["Administration", "Asked"]

UNREADABLE = "("
"""A parenthesis that is never closed: no pattern of RE2, the only kind that an Envoy takes."""


@dataclass(frozen=True)
class Asked:
    """What became of a change that was asked for.

    Attributes:
        version: of the store, that holds it; None: it was refused.
        objections: why it was refused, place by place.

    """

    version: int | None
    objections: tuple[Problem, ...] = ()

    def object_to(self, document: str, path: str) -> bool:
        """Whether it was refused because of this place of this document, and it was said why."""
        return any((each.document, each.path) == (document, path) and each.reason for each in self.objections)

    def __str__(self) -> str:
        return f"taken as version {self.version}" if self.version else "; ".join(map(str, self.objections)) or "refused"


class Administration:
    """What an editor of policies can do and see, over the wire."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    # ------------------------------------------------------------------ looking

    async def version(self) -> int:
        """The newest version of the policies."""
        return await (await self._client()).version()

    async def stored(self, service: str = WITNESS) -> Stored:
        """The document of a service, and in which version it was changed last.

        Raises:
            EnvironmentFault: there is none.

        """
        found = await (await self._client()).document((Kind.SERVICE, service))
        if found is None:
            raise EnvironmentFault(f"the mesh has no policy of service {service}", next_step="register it first")
        return found

    async def status(self, version: int) -> VersionStatus:
        """What became of a version, once every security server concerned has answered, or time is up."""
        return await (await self._client()).status(version, wait_s=self._mesh.timeouts.acknowledged)

    # ------------------------------------------------------------------ changing

    async def validate(self, documents: Mapping[str, Document]) -> tuple[Problem, ...]:
        """What would be wrong with these documents of services. Nothing is changed."""
        return tuple((await (await self._client()).validate(await self._writes(documents))).problems)

    async def ask(self, documents: Mapping[str, Document]) -> Asked:
        """Ask for these documents of services, all of them or none, and wait for nobody."""
        writes = await self._writes(documents)
        try:
            return Asked((await (await self._client()).commit(writes, note="a check asks for a change")).version)
        except InvalidPolicies as refusal:
            return Asked(None, refusal.problems)
        except UsageError:
            return Asked(None)

    async def burst(self, *policies: ServicePolicy) -> int:
        """Change a service's policy many times, one after the other, and wait for nobody; gives the last version."""
        client = await self._client()
        for policy in policies:
            key = (Kind.SERVICE, policy.service)
            committed = await client.put(key, to_document(policy), expected=ANY, note="one of many changes")
        return committed.version

    async def settled(self, version: int) -> Propagation:
        """Wait until everybody whom a version concerns has taken or rejected it."""
        return await self._mesh.governance.settled(version)

    async def roll_back(self, version: int) -> Propagation:
        """Back to the policies of an earlier version, and wait for those concerned."""
        return await self.settled(await self._mesh.governance.roll_back(version))

    @contextmanager
    def unacceptable(self, mark: str, service: str = WITNESS) -> Iterator[None]:
        """Until the end of the block every changed policy of a service is rejected by the security server before it.

        An overlay of the operator adds a route with a pattern that no security server can read, with `mark` in it. The
        policies themselves are good: what a proxy takes can only be found out by the proxy.
        """
        route = {
            "name": service,
            "match": {"safe_regex": {"regex": f"{UNREADABLE}{mark}"}},
            "direct_response": {"status": 404},
        }
        patch = [{"op": "add", "path": "/virtual_hosts/0/routes/0", "value": route}]
        with self._mesh.overlaid(Overlay(type="route", name=f"inbound/{service}", patch=patch)):
            yield

    async def _client(self) -> PolicyAdminClient:
        return await self._mesh.governance.policy_admin.client()

    async def _writes(self, documents: Mapping[str, Document]) -> list[Write]:
        return [
            Write((Kind.SERVICE, name), document, (await self.stored(name)).changed_in)
            for name, document in documents.items()
        ]
