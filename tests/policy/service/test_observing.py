"""Metrics for Prometheus, and a line of JSON for each attempt to change something."""

from __future__ import annotations

import json
import logging

import httpx
import pytest
from policy_admin_parts import ANY, AUDITOR, CONTROL_PLANE, Admin, member, service
from prometheus_client.parser import text_string_to_metric_families

from conformance.policy.service.observing import LOGGER

REGISTRY = "/v1/policies/service/registry"


async def samples(admin: Admin) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async with admin.http(AUDITOR) as http:
        text = (await http.get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**of: str) -> frozenset[tuple[str, str]]:
    return frozenset(of.items())


async def test_metrics_count_changes_refusals_and_security_servers(admin: Admin, editor: httpx.AsyncClient) -> None:
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=ANY)
    await editor.put(REGISTRY, json=service(timeout_s=3), headers=ANY)
    await editor.put(REGISTRY, json=service(provider="nobody"), headers=ANY)
    await editor.put(REGISTRY, json=service(), headers={"if-match": '"1"'})
    async with admin.http(CONTROL_PLANE) as http:
        states = {"agency": "applied", "ministry": "rejected"}
        reports = [
            {"version": 2, "proxy": proxy, "state": state, "since": "2026-11-25T12:00:00Z"}
            for proxy, state in states.items()
        ]
        await http.post("/v1/reports", json={"reports": reports})
    found = await samples(admin)
    changes = "policy_admin_changes_total"
    assert found[changes, labels(operation="changePolicies", outcome="committed")] == 1
    for outcome in ("committed", "unchanged", "invalid"):
        assert found[changes, labels(operation="putPolicy", outcome=outcome)] == 1
    assert found["policy_admin_refusals_total", labels(reason="invalid")] == 1
    assert found["policy_admin_refusals_total", labels(reason="stale")] == 1
    assert found["policy_admin_version", labels()] == 2
    assert {
        state: found["policy_admin_proxies", labels(state=state)] for state in ("pending", "applied", "rejected")
    } == {"pending": 0, "applied": 1, "rejected": 1}
    counted = "policy_admin_request_duration_seconds_count"
    assert found[counted, labels(operation="putPolicy", method="PUT", status="200")] == 2
    assert found[counted, labels(operation="putPolicy", method="PUT", status="412")] == 1


async def test_what_clients_send_makes_no_labels(admin: Admin, editor: httpx.AsyncClient) -> None:
    for number in range(5):
        await editor.request(f"BREW{number}", f"/v1/nowhere/{number}")
        await editor.request(f"BREW{number}", "/v1/policies")
    found = await samples(admin)
    operations = {dict(of).get("operation") for _, of in found}
    assert operations <= {None, "unknown", "changePolicies", "getMetrics"}
    assert not [of for _, of in found if "BREW" in str(of)]


async def test_each_attempt_to_change_leaves_a_line_that_says_who_what_and_what_became_of_it(
    admin: Admin, editor: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        headers = ANY | {"x-correlation-id": "change-7"}
        await editor.put(REGISTRY, json=service(timeout_s=3), headers=headers)
        await editor.put(REGISTRY, json=service(provider="nobody"), headers=headers)
    made, refused = [json.loads(record.message) for record in caplog.records if record.name == LOGGER]
    assert made.pop("time").endswith("Z")
    who = {
        "event": "change",
        "identity": admin.domain.identity("operator/editor"),
        "role": "editor",
        "operation": "putPolicy",
        "correlation_id": "change-7",
    }
    assert made == who | {"version": 2, "outcome": "committed", "documents": {"service/registry": "changed"}}
    refused.pop("time")
    assert refused == who | {"outcome": "invalid", "documents": ["service/registry"]}


async def test_health_says_that_the_service_and_its_store_work(admin: Admin, editor: httpx.AsyncClient) -> None:
    assert (await editor.get("/health")).json()["status"] == "ok"
    (admin.folder / "policies.db").unlink()
    answer = await editor.put("/v1/policies/member/clinic", json=member("clinic"))
    assert answer.status_code == 503
