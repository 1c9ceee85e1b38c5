"""What the commands of `meshmark policy` have in common: they find a mesh, prove themselves, and wait for it.

Invariant: a version has arrived only when every security server that it concerns and the authentication service have
said so.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx

from conformance.cli.running import RunningMesh, find_mesh
from conformance.model.errors import DeadlineExceeded, EnvironmentFault, UsageError
from conformance.model.policies import MESH, Kind, PolicyKey
from conformance.policy.client import PolicyAdminClient, VersionStatus
from conformance.policy.documents import LocatedDocument
from conformance.policy.store import Document, ProxyState, Stored, Write
from conformance.system.calling import trusting_nobody

__all__ = ["Operator", "intended", "key_named", "operating"]

LONGEST_WAIT_S = 30.0
ONE_LOOK_S = 1.0


class Operator:
    """Somebody who may change the policies of a mesh."""

    def __init__(self, mesh: RunningMesh, client: PolicyAdminClient) -> None:
        self.mesh = mesh
        self.client = client

    async def arrived(self, version: int) -> VersionStatus:
        """Wait until all whom a version concerns have taken or rejected it.

        Raises:
            DeadlineExceeded: somebody says nothing for too long.

        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST_WAIT_S
        while True:
            # Who has taken what is asked first: that a security server is concerned is noted before that.
            taken = await self._taken()
            understood = all(known >= version for known in taken.values())
            status = await self.client.status(version, wait_s=ONE_LOOK_S if understood else 0.0)
            if understood and status.state != ProxyState.PENDING:
                return status
            if loop.time() > deadline:
                silent = [each.proxy for each in status.proxies if each.state is ProxyState.PENDING]
                said = [f"{name} has taken version {known}" for name, known in taken.items()]
                raise DeadlineExceeded(
                    f"version {version} has not arrived everywhere within {LONGEST_WAIT_S:g} s",
                    detail="\n".join([*said, f"no answer from: {', '.join(silent) or 'nobody'}"]),
                    next_step=f"look at {self.mesh.page}, or ask again: meshmark policy status {version} --wait",
                )

    async def _taken(self) -> dict[str, int]:
        """Up to which version the control plane and the authentication service have taken policies."""
        try:
            async with httpx.AsyncClient(trust_env=False, verify=trusting_nobody()) as client:
                answer = await client.get(f"{self.mesh.page}status.json")
                answer.raise_for_status()
        except httpx.HTTPError as problem:
            raise EnvironmentFault(
                f"the live page does not answer: {problem or type(problem).__name__}",
                where=self.mesh.page,
                next_step="look whether the mesh still runs",
            ) from problem
        versions = answer.json()["versions"]
        return {name: versions[name.replace(" ", "_")] for name in ("control plane", "authentication service")}


@asynccontextmanager
async def operating(name: str | None) -> AsyncIterator[Operator]:
    """The operator of the mesh of this name, or of the only one.

    Raises:
        UsageError: several meshes run and none is named.
        EnvironmentFault: none runs, or what it has written cannot be used.

    """
    mesh = find_mesh(name)
    try:
        tls = ssl.create_default_context(cafile=mesh.authority)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(mesh.certificate)
    except (OSError, ssl.SSLError) as problem:
        raise EnvironmentFault(
            f"the operator's certificate cannot be used: {problem}",
            where=mesh.certificate,
            next_step="end the mesh, and start it again",
        ) from problem
    async with PolicyAdminClient(mesh.url, tls=tls) as client:
        yield Operator(mesh, client)


def key_named(text: str) -> PolicyKey:
    """Kind and name of a policy as somebody types them: `service/citizen-id`.

    Raises:
        UsageError: it is not written like that.

    """
    kind, slash, name = text.partition("/")
    if kind == Kind.MESH and not slash:
        return Kind.MESH, MESH
    if kind not in list(Kind) or not name:
        raise UsageError(
            f"{text!r} names no policy",
            next_step=f"write KIND/NAME, with a kind of {', '.join(Kind)}; `meshmark policy get` lists what is there",
        )
    return Kind(kind), name


def intended(
    documents: Sequence[LocatedDocument], now: Mapping[PolicyKey, Stored], *, since: int | None = None
) -> list[Write]:
    """What has to be written so that these documents count.

    A service whose document says nothing of endpoints keeps those that it has: they come and go with the building
    blocks, and who may call them is written down long before.

    Args:
        documents: the policies as they shall be.
        now: the policies as they are.
        since: whatever was changed after this version must not be replaced; None: what `now` says is known.

    """
    writes = []
    for each in documents:
        known = now.get(each.key)
        document: Document = each.document
        if known and each.key[0] is Kind.SERVICE and "endpoints" not in document and "endpoints" in known.document:
            document = {**document, "endpoints": known.document["endpoints"]}
        version = known.changed_in if known else 0
        writes.append(Write(each.key, document, version if since is None else min(version, since)))
    return writes
