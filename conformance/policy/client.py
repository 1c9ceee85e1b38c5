"""A client of the policy admin service, for the command line and for followers in other processes.

Invariants: it is typed in the store's own words, so that whoever uses a store can use a service instead; every refusal
is an error of `model.errors`, with the next step; proxies of the environment are never used.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from conformance.model.errors import EnvironmentFault
from conformance.model.policies import Kind, MemberId, PolicyChange, PolicyKey
from conformance.model.policy import Endpoint
from conformance.policy.client_errors import reached, refusal
from conformance.policy.client_wire import (
    ANY,
    Committed,
    Difference,
    Judgement,
    VersionStatus,
    changes_of_json,
    committed_of_answer,
    condition_headers,
    differences_of_json,
    endpoint_path,
    key_of_json,
    note_header,
    policy_path,
    query_of,
    report_of_json,
    write_json,
)
from conformance.policy.documents.problems import Problem
from conformance.policy.store import Author, Document, Entry, ProxyReport, ProxyState, Stored, Write
from conformance.system.calling import trusting_nobody

__all__ = ["ANY", "Committed", "Difference", "Judgement", "PolicyAdminClient", "VersionStatus"]

PAGE = 1_000
LONGEST_POLL_S = 30.0
LONGEST_BACK_OFF_S = 2.0


class PolicyAdminClient:
    """Speaks `specs/contracts/policy-admin.yaml`. Use it as an asynchronous context, or `close` it."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None, timeout_s: float = 30.0) -> None:
        """Nothing is sent yet.

        Args:
            url: the service, with the prefix of a mesh if there is one.
            tls: the client's side of mutual TLS; None for plain HTTP to one's own security server.
            timeout_s: how long an answer may take, beyond what is asked for by `wait_s`.

        """
        self._url = url
        self._timeout_s = timeout_s
        context = tls or trusting_nobody()
        self._http = httpx.AsyncClient(base_url=url, verify=context, timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> PolicyAdminClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    # ------------------------------------------------------------------ policies

    async def version(self) -> int:
        """The newest version; 0 for an empty store."""
        return int((await self._get("/v1/policies", limit=1))["version"])

    async def documents(self, version: int | None = None, *, kind: Kind | None = None) -> dict[PolicyKey, Stored]:
        """All documents as of a version, the newest by default."""
        found: dict[PolicyKey, Stored] = {}
        after: str | None = None
        while True:
            page = await self._get("/v1/policies", limit=PAGE, version=version, kind=kind, after=after)
            version, after = page["version"], page.get("next")
            found |= {key_of_json(each): Stored(each["document"], each["changed_in"]) for each in page["items"]}
            if after is None:
                return found

    async def document(self, key: PolicyKey, version: int | None = None) -> Stored | None:
        """One document as of a version, the newest by default; None if it is not there."""
        answer = await self._send("GET", policy_path(key), params=query_of(version=version), expect=(200, 404))
        if answer.status_code == 404:
            return None
        return Stored(answer.json(), int(answer.headers["etag"].strip('"')))

    async def put(
        self, key: PolicyKey, document: Document, *, expected: int | None = None, note: str = ""
    ) -> Committed:
        """Make a policy, or replace it as a whole.

        Args:
            key: kind and name.
            document: as it shall be.
            expected: the version in which it was changed when the author read it; `ANY`; None: it is not there yet.
            note: why.

        Raises:
            Conflict: it is not what the author has read.
            InvalidPolicies: the policies would be no good.

        """
        return await self._change(
            "PUT", policy_path(key), content=document, headers=condition_headers(expected), note=note
        )

    async def merge(self, key: PolicyKey, patch: Mapping[str, Any], *, expected: int, note: str = "") -> Committed:
        """Change a part of a policy by a JSON Merge Patch; the rest is as in `put`."""
        return await self._patch("application/merge-patch+json", key, patch, expected, note)

    async def patch(self, key: PolicyKey, patch: Sequence[Any], *, expected: int, note: str = "") -> Committed:
        """Change a part of a policy by a JSON Patch; the rest is as in `put`."""
        return await self._patch("application/json-patch+json", key, patch, expected, note)

    async def delete(self, key: PolicyKey, *, expected: int, note: str = "") -> Committed:
        """Remove a policy; the rest is as in `put`."""
        return await self._change("DELETE", policy_path(key), headers=condition_headers(expected), note=note)

    # ------------------------------------------------------------------ changes

    async def commit(self, writes: Iterable[Write], *, note: str = "") -> Committed:
        """Change several policies at once, all or nothing; each existing one says which version the author has read."""
        body = {"changes": [write_json(write) for write in writes]}
        return await self._change("POST", "/v1/changes", content=body, note=note)

    async def validate(self, writes: Iterable[Write]) -> Judgement:
        """What `commit` would do, and everything that is wrong with it. Nothing is changed."""
        body = {"changes": [write_json(write) for write in writes]}
        judged = (await self._send("POST", "/v1/validate", content=body)).json()
        problems = [
            Problem(each.get("document", ""), each.get("pointer", ""), each["reason"], each.get("next_step", ""))
            for each in judged["errors"]
        ]
        return Judgement(judged["version"], changes_of_json(judged), problems)

    async def roll_back(self, to: int, *, note: str = "") -> Committed:
        """Make a new version in which everything is as it was in an old one."""
        return await self._change("POST", "/v1/rollback", content={"to": to}, note=note)

    async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        """Everything since a version as one change, then each further one as it happens (`model.policies.PolicyFeed`).

        While the service cannot be reached it is asked again, at growing intervals of at most 2 s.

        Raises:
            UsageError: the service refuses, or its store knows nothing of the version.

        """
        from conformance.policy.wire import change_from_json  # noqa: PLC0415 -- pydantic's adapters take 0.1 s

        back_off = 0.1
        while True:
            try:
                answer = await self._get("/v1/changes", wait_s=LONGEST_POLL_S, after=after)
                change = change_from_json(answer)
            except EnvironmentFault as fault:
                logging.getLogger(__name__).warning("policies cannot be followed at the moment: %s", fault)
                await asyncio.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_S)
                continue
            back_off = 0.1
            if change.version > after:
                after = change.version
                yield change

    # ------------------------------------------------------------------ history and status

    async def history(
        self, *, key: PolicyKey | None = None, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The audit log, newest first, without documents: as `VersionInList` in the contract."""
        kind, name = key or (None, None)
        page = await self._get("/v1/versions", kind=kind, name=name, before=before, limit=limit)
        return list(page["items"])

    async def entry(self, version: int) -> Entry:
        """One entry of the audit log, with the documents before and after."""
        found = await self._get(f"/v1/versions/{version}")
        author = Author(found["author"]["identity"], found["author"]["role"])
        return Entry(found["version"], found["at"], author, found["note"], differences_of_json(found))

    async def diff(self, old: int, new: int) -> dict[PolicyKey, Difference]:
        """Each document that differs between two versions."""
        return differences_of_json(await self._get("/v1/diff", **{"from": old, "to": new}))

    async def status(self, version: int, *, wait_s: float = 0.0) -> VersionStatus:
        """What became of a version; waits until every security server concerned has answered, or for `wait_s`.

        The service may answer earlier than that; then it is asked again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            left = max(0.0, deadline - loop.time())
            found = await self._get(f"/v1/versions/{version}/status", wait_s=min(left, LONGEST_POLL_S))
            status = VersionStatus(
                found["version"], found["state"], [report_of_json(each) for each in found["proxies"]]
            )
            if status.state in {ProxyState.APPLIED, ProxyState.REJECTED} or loop.time() >= deadline:
                return status

    async def proxies(self) -> list[ProxyReport]:
        """For each security server the report about the newest version that concerns it."""
        return [report_of_json(each) for each in (await self._get("/v1/proxies"))["items"]]

    async def report(self, reports: Iterable[ProxyReport]) -> None:
        """Say, as a control plane, what became of versions. Who says it is the identity of the certificate."""
        said = [
            {key: getattr(report, key) for key in ("version", "proxy", "state", "since", "reason")}
            for report in reports
        ]
        body = {"reports": [each | {"since": each["since"].replace("+00:00", "Z")} for each in said]}
        await self._send("POST", "/v1/reports", content=body)

    # ------------------------------------------------------------------ services and the directory

    async def put_endpoint(self, service: str, endpoint: Endpoint, *, note: str = "") -> Committed:
        """Add an endpoint to a service, or change it, whatever else its policy says."""
        names = ("server_name", "group", "weight", "priority")
        body = {name: getattr(endpoint, name) for name in names}
        path = endpoint_path(service, endpoint.host, endpoint.port)
        return await self._change("PUT", path, content=body, note=note)

    async def delete_endpoint(self, service: str, host: str, port: int, *, note: str = "") -> Committed:
        """Remove an endpoint from a service."""
        return await self._change("DELETE", endpoint_path(service, host, port), note=note)

    async def list_clients(self) -> list[dict[str, Any]]:
        """The members of the mesh, in the shape of X-Road."""
        return list((await self._get("/v1/directory/listClients"))["member"])

    async def list_methods(self, member: MemberId) -> list[dict[str, Any]]:
        """What a member offers, in the shape of X-Road."""
        return list((await self._get(f"/v1/directory/{member}/listMethods"))["service"])

    async def allowed_methods(self, member: MemberId) -> list[dict[str, Any]]:
        """What a member offers and the caller may call, in the shape of X-Road."""
        return list((await self._get(f"/v1/directory/{member}/allowedMethods"))["service"])

    async def metrics(self) -> str:
        """The metrics of the service, in the text format of Prometheus."""
        return (await self._send("GET", "/metrics")).text

    # ------------------------------------------------------------------ the wire

    async def _patch(self, media_type: str, key: PolicyKey, patch: Any, expected: int, note: str) -> Committed:  # noqa: ANN401
        headers = condition_headers(expected) | {"content-type": media_type}
        return await self._change("PATCH", policy_path(key), content=patch, headers=headers, note=note)

    async def _change(self, method: str, path: str, *, note: str, **sent: Any) -> Committed:  # noqa: ANN401
        headers = sent.pop("headers", {}) | note_header(note)
        return committed_of_answer(await self._send(method, path, headers=headers, **sent))

    async def _get(self, path: str, *, wait_s: float = 0.0, **query: Any) -> dict[str, Any]:  # noqa: ANN401
        waiting = {"wait": f"{wait_s:.3f}"} if wait_s else {}
        answer = await self._send("GET", path, params=query_of(**query) | waiting, wait_s=wait_s)
        found: dict[str, Any] = answer.json()
        return found

    async def _send(
        self,
        method: str,
        path: str,
        *,
        content: Any = None,  # noqa: ANN401 -- any value of JSON
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        expect: Sequence[int] = (200, 201, 204),
    ) -> httpx.Response:
        sent = dict(headers or {})
        body = None
        if content is not None:
            body = json.dumps(content, ensure_ascii=False).encode()
            sent.setdefault("content-type", "application/json")
        with reached(self._url):
            answer = await self._http.request(
                method,
                path,
                content=body,
                headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                params=params,
                timeout=self._timeout_s + wait_s,
            )
        if answer.status_code not in expect:
            raise refusal(answer)
        return answer
