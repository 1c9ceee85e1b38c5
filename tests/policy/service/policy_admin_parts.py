"""What the tests of the policy admin service share: policies, identities, and clients that judge every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from conformance.openapi.answers import Answer, ContractValidator
from conformance.openapi.contract import Contract, load_contract
from conformance.openapi.examples import ExampleRequest
from conformance.pki.credential import Credential
from conformance.pki.trust_domain import TrustDomain
from conformance.policy.client import PolicyAdminClient
from conformance.policy.service import PolicyAdminService, Role
from conformance.policy.store import Store
from conformance.system.folders import bundled

EDITOR, AUDITOR, CONTROL_PLANE = "operator/editor", "operator/auditor", "control-plane/one"
AGENCY, MINISTRY, STRANGER = "security-server/agency", "security-server/ministry", "security-server/stranger"
ROLES = {EDITOR: {Role.EDITOR}, AUDITOR: {Role.AUDITOR}, CONTROL_PLANE: {Role.CONTROL_PLANE}}

PROBLEM = "application/problem+json"
MERGE = {"content-type": "application/merge-patch+json"}
JSON_PATCH = {"content-type": "application/json-patch+json"}
ANY = {"if-match": "*"}

Json = dict[str, Any]


def member(name: str, domain: str = "mesh.test", **more: Any) -> Json:
    return {"kind": "member", "name": name, "identity": f"spiffe://{domain}/security-server/{name}", **more}


AGENCY_POLICY = member("agency", id="MESH/GOV/1001/registry")
MINISTRY_POLICY = member("ministry", id="MESH/GOV/1002", calls=["registry"])


def service(**more: Any) -> Json:
    """The service `registry` of the agency, of which the ministry may call one operation of two."""
    return {
        "kind": "service",
        "name": "registry",
        "provider": "agency",
        "code": "births",
        "contract": ["GET /v1/births", "POST /v1/births"],
        "endpoints": [{"host": "127.0.0.1", "port": 8080}],
        "access": [{"caller": "ministry", "operations": ["GET /v1/births"]}],
        **more,
    }


def change(document: Json | None, *, kind: str = "", name: str = "", **more: Any) -> Json:
    kind, name = (document["kind"], document["name"]) if document else (kind, name)
    return {"kind": kind, "name": name, "document": document, **more}


SETUP = {"changes": [change(each) for each in (AGENCY_POLICY, MINISTRY_POLICY, service())]}
"""Version 1 of most tests."""


@cache
def contract() -> Contract:
    return load_contract(bundled("specs/contracts") / "policy-admin.yaml")


@cache
def validator() -> ContractValidator:
    return ContractValidator(contract())


async def judge(response: httpx.Response) -> None:
    """Every answer keeps the contract. By it, undeclared methods are 405 and undeclared paths 404."""
    body = await response.aread()
    request = response.request
    assert "x-correlation-id" in response.headers
    assert b"Traceback" not in body
    assert response.status_code < 500 or response.status_code == 503, body
    asked = ExampleRequest(request.method, request.url.raw_path.decode(), (), None)
    answer = Answer(response.status_code, tuple(response.headers.multi_items()), body)
    breaches = validator().problems_of(asked, answer)
    if any(each.kind == "undeclared-operation" for each in breaches):
        assert response.status_code in {404, 405, 401}, (request, body)
    elif response.status_code == 405:
        assert response.headers["allow"]
    else:
        assert not breaches, (request, body)


def problem_of(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["content-type"] == PROBLEM
    problem: Json = response.json()
    return problem


def flaws_of(response: httpx.Response, status: int = 422) -> list[tuple[str, str]]:
    """Where each thing is wrong: document or parameter, and pointer."""
    errors = problem_of(response, status)["errors"]
    return [(each.get("document") or each.get("parameter", ""), each.get("pointer", "")) for each in errors]


@dataclass
class Admin:
    """A service that runs, and ways to call it."""

    service: PolicyAdminService
    store: Store
    domain: TrustDomain
    folder: Path

    def credential(self, identity: str) -> Credential:
        return self.domain.issue(identity)

    def http(self, identity: str = EDITOR, *, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """A client with a certificate, that judges every answer by the contract."""
        tls = self.credential(identity).client_context(self.domain.bundle_pem)
        return httpx.AsyncClient(
            base_url=self.service.url,
            verify=tls,
            trust_env=False,
            timeout=20,
            headers=headers,
            event_hooks={"response": [judge]},
        )

    def client(self, identity: str = EDITOR) -> PolicyAdminClient:
        return PolicyAdminClient(
            self.service.url, tls=self.credential(identity).client_context(self.domain.bundle_pem), timeout_s=20
        )
