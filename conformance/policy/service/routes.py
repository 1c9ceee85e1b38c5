"""Every operation of `specs/contracts/policy-admin.yaml`, and who may call it."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from conformance import __version__
from conformance.policy.service.answers import ok
from conformance.policy.service.callers import Role
from conformance.policy.service.directory import Directory
from conformance.policy.service.edge import Access, Call, Operation
from conformance.policy.service.endpoints import Endpoints
from conformance.policy.service.following import Following
from conformance.policy.service.history import History
from conformance.policy.service.observing import Observing
from conformance.policy.service.patches import PATCHES
from conformance.policy.service.policies import Policies
from conformance.policy.service.writing import Writer
from conformance.policy.store import Store

__all__ = ["operations"]

EVERYBODY: Final = Access(anonymous=True)
IDENTITIES: Final = Access()
READERS: Final = Access(frozenset(Role))
EDITORS: Final = Access(frozenset({Role.EDITOR}))
CONTROL_PLANES: Final = Access(frozenset({Role.CONTROL_PLANE}))

JSON: Final = frozenset({"application/json"})
PATCH: Final = frozenset(PATCHES)

POLICY = "/v1/policies/{kind}/{name}"
ENDPOINT = "/v1/services/{name}/endpoints/{address}"
MEMBER = "/v1/directory/{instance}/{member_class}/{member_code}"
SUBSYSTEM = f"{MEMBER}/{{subsystem}}"


def operations(
    store: Store, observing: Observing, *, longest_wait_s: float, stopping: asyncio.Event
) -> list[Operation]:
    """All of them, on a store.

    Args:
        store: where the policies are.
        observing: is told about changes, and shows the metrics.
        longest_wait_s: long polls last no longer.
        stopping: set when the service ends.

    """
    writer = Writer(store, observing)
    policies, endpoints = Policies(store, writer), Endpoints(store, writer)
    history, directory = History(store), Directory(store)
    following = Following(store, longest_wait_s=longest_wait_s, stopping=stopping)

    async def health(_call: Call) -> Response:
        await store.version()
        return ok({"status": "ok", "service": "policy-admin", "version": __version__})

    async def metrics(_call: Call) -> Response:
        return Response(await observing.exposed(store), headers={"content-type": CONTENT_TYPE_LATEST})

    return [
        Operation("getHealth", "GET", "/health", EVERYBODY, health),
        Operation("getMetrics", "GET", "/metrics", READERS, metrics),
        Operation("listPolicies", "GET", "/v1/policies", READERS, policies.list_policies),
        Operation("getPolicy", "GET", POLICY, READERS, policies.get_policy),
        Operation("putPolicy", "PUT", POLICY, EDITORS, policies.put_policy, JSON),
        Operation("patchPolicy", "PATCH", POLICY, EDITORS, policies.patch_policy, PATCH),
        Operation("deletePolicy", "DELETE", POLICY, EDITORS, policies.delete_policy),
        Operation("followChanges", "GET", "/v1/changes", READERS, following.changes),
        Operation("changePolicies", "POST", "/v1/changes", EDITORS, policies.change_policies, JSON),
        Operation("validateChanges", "POST", "/v1/validate", EDITORS, policies.validate, JSON),
        Operation("rollBack", "POST", "/v1/rollback", EDITORS, policies.roll_back, JSON),
        Operation("listVersions", "GET", "/v1/versions", READERS, history.list_versions),
        Operation("getVersion", "GET", "/v1/versions/{version}", READERS, history.get_version),
        Operation("getStatus", "GET", "/v1/versions/{version}/status", READERS, following.status),
        Operation("getDiff", "GET", "/v1/diff", READERS, history.diff),
        Operation("listProxies", "GET", "/v1/proxies", READERS, following.list_proxies),
        Operation("reportProxies", "POST", "/v1/reports", CONTROL_PLANES, following.report, JSON),
        Operation("putEndpoint", "PUT", ENDPOINT, EDITORS, endpoints.put_endpoint, JSON),
        Operation("deleteEndpoint", "DELETE", ENDPOINT, EDITORS, endpoints.delete_endpoint),
        Operation("listClients", "GET", "/v1/directory/listClients", IDENTITIES, directory.list_clients),
        Operation("listMemberMethods", "GET", f"{MEMBER}/listMethods", IDENTITIES, directory.list_methods),
        Operation("listSubsystemMethods", "GET", f"{SUBSYSTEM}/listMethods", IDENTITIES, directory.list_methods),
        Operation("allowedMemberMethods", "GET", f"{MEMBER}/allowedMethods", IDENTITIES, directory.allowed_methods),
        Operation(
            "allowedSubsystemMethods", "GET", f"{SUBSYSTEM}/allowedMethods", IDENTITIES, directory.allowed_methods
        ),
    ]
