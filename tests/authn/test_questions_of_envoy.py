"""A real Envoy asks about each call: what it answers, logs and hands on is what was decided."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authn_parts import (
    BIRTHS,
    CLINIC,
    OPEN,
    REGISTRY,
    TOKENS,
    TRUST,
    WITHIN_S,
    Proxy,
    asking,
    change,
    envoy,
    listener,
    mutual_tls,
    route,
    told,
)

from conformance.authn import AuthenticationService
from conformance.pki.tokens import expired_token
from conformance.protobuf.listen import UnixListen
from conformance.system.deadlines import until
from conformance.system.guard import Guard

CREDENTIAL = TRUST.issue("clinic")
NOTHING = "-"


@pytest.fixture
async def proxy(folder: Path, guard: Guard, listen: UnixListen, service: AuthenticationService) -> AsyncIterator[Proxy]:
    inbound = [route(name, told("inbound", name, "registry")) for name in ("births", "open", "guarded")]
    outbound = [route(name, told("outbound", name, "clinic")) for name in ("births", "open", "guarded")]
    listeners = [
        listener("inbound", folder, [asking("0.5s")], inbound, tls=mutual_tls(folder)),
        listener("outbound", folder, [asking("0.5s")], outbound, tls=None),
    ]
    async with envoy(folder, guard, listeners, listen.path) as proxy:
        yield proxy


async def call(proxy: Proxy, listener: str, path: str, headers: dict[str, str] | None = None):
    nonce = uuid.uuid4().hex
    async with proxy.client(CREDENTIAL if listener == "inbound" else None) as client:
        answer = await client.get(proxy.url(listener, path), headers={"x-request-id": nonce, **(headers or {})})
    return answer, await proxy.logged(nonce)


async def test_an_allowed_call_goes_on_with_the_true_identity(proxy: Proxy):
    forged = {"x-meshmark-caller": "spiffe://mesh.test/forged", "x-meshmark-subject": "king", "x-road-client": "A/B/C"}
    answer, logged = await call(proxy, "inbound", "/births/v1/births/17?name=secret", forged)
    assert answer.status_code == 200
    assert logged["caller"] == CLINIC.identity
    assert logged["client"] == str(CLINIC.id)
    assert logged["subject"] is None
    assert (logged["decision"], logged["reason"]) == ("allowed", "allowed")
    assert (logged["policy"], logged["store_version"]) == (BIRTHS.version, "1")
    assert logged["operation"] == "GET /v1/births/{id}"


async def test_a_refused_call_gets_a_problem_and_the_access_log_names_the_reason(proxy: Proxy):
    answer, logged = await call(proxy, "inbound", "/births/v1/secret")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "title": "Forbidden",
        "status": 403,
        "detail": "No rule of the service allows this caller the operation.",
        "reason": "operation-not-allowed",
    }
    assert (logged["flags"], logged["details"]) == ("UAEX", "ext_authz_denied")
    assert (logged["decision"], logged["reason"]) == ("refused", "operation-not-allowed")
    assert (logged["policy"], logged["store_version"]) == (BIRTHS.version, "1")


async def test_a_call_that_needs_a_token_is_told_so_and_goes_through_with_one(proxy: Proxy):
    answer, logged = await call(proxy, "inbound", "/guarded/")
    assert (answer.status_code, logged["reason"]) == (401, "token-missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="guarded"'
    expired = {"authorization": f"Bearer {expired_token(TOKENS, 'births')}"}
    answer, logged = await call(proxy, "inbound", "/guarded/", expired)
    assert (answer.status_code, logged["reason"]) == (401, "token-expired")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="guarded", error="invalid_token", error_description="The token has expired."'
    )
    answer, logged = await call(
        proxy, "inbound", "/guarded/", {"authorization": f"Bearer {TOKENS.token('births', subject='Ann Ó')}"}
    )
    assert (answer.status_code, logged["subject"]) == (200, "Ann%20%C3%93")


async def test_two_authorization_headers_are_refused_however_they_are_written(proxy: Proxy):
    token = TOKENS.token("births")
    async with proxy.client(CREDENTIAL) as client:
        headers = [("Authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
        answer = await client.get(proxy.url("inbound", "/guarded/"), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-repeated")


async def test_an_application_may_address_what_its_member_calls_and_writes_no_identity(proxy: Proxy):
    answer, logged = await call(proxy, "outbound", "/open/", {"x-meshmark-caller": "spiffe://mesh.test/forged"})
    assert (answer.status_code, logged["caller"]) == (200, CLINIC.identity)
    answer, logged = await call(proxy, "outbound", "/guarded/")
    assert (answer.status_code, logged["reason"]) == (403, "not-called-from-here")


async def test_a_change_counts_for_the_next_call_on_an_open_connection(proxy: Proxy, service: AuthenticationService):
    async with proxy.client(CREDENTIAL) as client:
        assert (await client.get(proxy.url("inbound", "/open/"))).status_code == 200
        for version in range(2, 12):
            await service.apply(change(version, OPEN.changed(access=() if version % 2 == 0 else OPEN.access)))
            expected = 403 if version % 2 == 0 else 200
            assert (await client.get(proxy.url("inbound", "/open/"))).status_code == expected


async def test_without_the_service_without_an_answer_and_after_an_error_everything_is_refused(
    proxy: Proxy, service: AuthenticationService, monkeypatch: pytest.MonkeyPatch
):
    async with proxy.client(CREDENTIAL) as client:
        url = proxy.url("inbound", "/open/")

        async def status() -> int:
            return (await client.get(url)).status_code

        assert await status() == 200
        await service.stop()
        assert await status() == 403
        await service.restart()

        async def back() -> bool:
            return await status() == 200

        await until(back, what="Envoy has found the service again", timeout=WITHIN_S)
        service.hang()
        assert await status() == 403
        service.resume()
        assert await status() == 200
        monkeypatch.delattr("conformance.authn.deciding._Case.judge")
        assert await status() == 403
        assert service.recent[-1].reason == "internal-error"


async def test_a_service_that_knows_nothing_yet_refuses(folder: Path, guard: Guard):
    listen = UnixListen(folder / "new.sock")
    service = AuthenticationService()
    await service.start(listen)
    listeners = [
        listener(
            "inbound", folder, [asking()], [route("open", told("inbound", "open", "registry"))], tls=mutual_tls(folder)
        )
    ]
    async with envoy(folder, guard, listeners, listen.path) as proxy:
        answer, logged = await call(proxy, "inbound", "/open/")
        assert (answer.status_code, logged["reason"]) == (403, "no-policies")
        await service.apply(change(7, REGISTRY, CLINIC, OPEN))
        answer, logged = await call(proxy, "inbound", "/open/")
        assert (answer.status_code, logged["store_version"]) == (200, "7")
    await service.close()
