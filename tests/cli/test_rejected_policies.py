"""A version that a security server rejects: the commands tell by their exit code, the live page in its headline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from running_mesh import policy_of, private_states
from workplace import FIXTURES, Workplace

from conformance.cli.running import claimed
from conformance.controlplane.resources import ResourceType
from conformance.envoy.binary import installed_binary
from conformance.envoy.process import ProcessRuntime
from conformance.mesh import Modifier, Resources
from conformance.mesh.blueprint import draw_blueprint
from conformance.mesh.live.page import LivePage
from conformance.mesh.reference import AUTHORITY, OPERATOR, ReferenceMesh
from conformance.model.timeouts import Timeouts
from conformance.system.guard import Guard

STRUCK = "death-registry"
REASON = "ConnectTimeout: value must be greater than 0s"


class NoTimeToConnect(Modifier):
    """While `on`, one security server gets a cluster that no Envoy takes."""

    on = False

    def resources(self, server: str, resources: Resources) -> Resources:
        if not self.on or server != STRUCK:
            return resources
        clusters = resources[ResourceType.CLUSTER]
        struck = f"application-{STRUCK}"
        broken = {**clusters[struck], "connect_timeout": "0s"}
        return {**resources, ResourceType.CLUSTER: {**clusters, struck: broken}}


@pytest.fixture
async def mesh(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, NoTimeToConnect]]:
    """The live page of a mesh that is announced as `meshmark mesh up` does it, and what can strike it."""
    monkeypatch.setattr("tempfile.tempdir", str(workplace.temporary))
    monkeypatch.setenv("XDG_RUNTIME_DIR", private_states(workplace).environment["XDG_RUNTIME_DIR"])
    strike = NoTimeToConnect()
    guard = Guard()
    try:
        async with AsyncExitStack() as exits:
            claim = exits.enter_context(claimed("struck", guard))
            built = ReferenceMesh(
                await draw_blueprint(store=None, policies=None, services=(STRUCK,), topology=None),
                runtime=ProcessRuntime(installed_binary(), guard),
                timeouts=Timeouts(),
                guard=guard,
                modifiers=[strike],
            )
            await exits.enter_async_context(built)
            page = LivePage(built, name="struck")
            await page.start()
            exits.push_async_callback(page.stop)
            files = {"authority": built.certificates / AUTHORITY, "certificate": built.certificate(OPERATOR)}
            claim.announce(url=built.governance.policy_admin.url, page=page.url, **files)
            yield page.url, strike
    finally:
        guard.close()


async def test_a_rejection_is_told_and_what_was_good_stays(workplace: Workplace, mesh: tuple[str, NoTimeToConnect]):
    page, strike = mesh
    text = (FIXTURES / "policies" / f"{STRUCK}.yaml").read_text("utf-8")
    strike.on = True
    rejected = await policy_of(workplace, "apply", workplace.write("a.yaml", text + "timeout_s: 7\n"), "--wait")
    assert rejected.code == 1, rejected.said
    (said,) = [line for line in rejected.out.splitlines() if line.startswith(STRUCK)]
    assert " rejected " in said
    assert REASON in said

    shown = await policy_of(workplace, "status")
    assert shown.code == 1
    assert REASON in shown.out
    async with httpx.AsyncClient() as client:
        text_of_page = (await client.get(page)).text
        assert "1 of 5 security servers rejected policies and keep the last good ones" in text_of_page
        assert REASON in text_of_page
        metrics = (await client.get(f"{page}metrics")).text
        assert 'meshmark_controlplane_answers_total{outcome="rejected",type="cluster"} 1.0' in metrics
        (office,) = [
            each
            for each in (await client.get(f"{page}status.json")).json()["security_servers"]
            if each["name"] == "registration-office"
        ]
        assert (await client.get(f"http://{office['outbound']}/{STRUCK}/v1/deaths")).status_code == 200

    strike.on = False
    mended = await policy_of(workplace, "apply", workplace.write("b.yaml", text + "timeout_s: 8\n"), "--wait")
    assert mended.code == 0, mended.said
    assert (await policy_of(workplace, "status")).code == 0
    async with httpx.AsyncClient() as client:
        assert "All 5 security servers have applied the policies" in (await client.get(page)).text
