"""The policy admin service over real TLS and on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from policy_admin_parts import ROLES, SETUP, Admin

from conformance.pki.trust_domain import TrustDomain
from conformance.policy.service import PolicyAdminService
from conformance.policy.store.opening import open_store


@pytest.fixture(scope="session")
def domain() -> TrustDomain:
    return TrustDomain()


@pytest.fixture
async def empty(domain: TrustDomain, tmp_path: Path) -> AsyncIterator[Admin]:
    """A service with an empty store."""
    store = await open_store(str(tmp_path / "policies.db"))
    service = PolicyAdminService(
        store,
        roles={domain.identity(path): roles for path, roles in ROLES.items()},
        tls=domain.issue("policy-admin").server_context(domain.bundle_pem),
    )
    await service.start()
    yield Admin(service, store, domain, tmp_path)
    await service.stop()
    await store.close()


@pytest.fixture
async def admin(empty: Admin) -> Admin:
    """A service whose store is at version 1: two members, and one service."""
    async with empty.http() as http:
        answer = await http.post("/v1/changes", json=SETUP)
    assert answer.status_code == 200, answer.text
    return empty


@pytest.fixture
async def editor(admin: Admin) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an editor, at version 1."""
    async with admin.http() as http:
        yield http
