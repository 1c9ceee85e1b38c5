from __future__ import annotations

import pytest
from xds_parts import Mesh, cluster, endpoints, listener, merged, policy, routes, world

pytestmark = pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])


async def test_a_change_of_each_type_is_acknowledged_and_enforced(mesh: Mesh, api_type):
    first, second = await mesh.building_block("first"), await mesh.building_block("second")
    everything = merged(
        world(listener=listener(policy=True), route=routes("orders"), cluster=cluster()),
        world(endpoint=endpoints(first.port), extension_config=policy("ALLOW")),
    )
    proxy = await mesh.proxy("node", api_type)
    await mesh.apply("node", everything)
    await mesh.answers(proxy, "first")

    await mesh.apply("node", merged(everything, world(endpoint=endpoints(second.port))))
    await mesh.answers(proxy, "second")
    await mesh.apply("node", merged(everything, world(extension_config=policy("DENY"))))
    await mesh.answers(proxy, "RBAC: access denied", status=403)
    await mesh.apply("node", merged(everything, world(route=routes(body="from the route"))))
    await mesh.answers(proxy, "from the route")
