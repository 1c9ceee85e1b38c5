"""Bodies that are too large, too deep or no JSON; requests that are no HTTP; a store that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3

import httpx
import pytest
from policy_admin_parts import ANY, EDITOR, Admin, flaws_of, member, problem_of
from test_callers import ask, requests

MIB = 1024 * 1024
CLINIC = "/v1/policies/member/clinic"
JSON = {"content-type": "application/json"}


def nested(depth: int) -> bytes:
    return b'{"kind":"member","a":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB])
async def test_a_body_of_more_than_a_mebibyte_is_413(editor: httpx.AsyncClient, size: int) -> None:
    assert flaws_of(await editor.put(CLINIC, content=b" " * size, headers=JSON), 413) == [("", "")]
    assert (await editor.get(CLINIC)).status_code == 404


async def test_a_body_without_a_length_and_end_is_answered_and_cut_off(admin: Admin) -> None:
    head = f"PUT {CLINIC} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    reader, writer = await connect(admin)
    writer.write(head.encode())

    piece, sent = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0
    while sent < 2 * MIB:
        writer.write(piece)
        await writer.drain()
        sent += len(piece)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    # The service throws away what still comes, so that the answer arrives, but it does not do so for ever.
    with contextlib.suppress(ConnectionError):
        while sent < 64 * MIB:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    # With what waits in the buffers of both ends.
    assert sent < 64 * MIB


async def test_a_body_that_is_announced_too_large_is_not_waited_for(admin: Admin) -> None:
    head = f"PUT {CLINIC} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {MIB + 1}\r\n\r\n"
    answer = await raw(admin, head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


async def test_a_body_of_exactly_a_mebibyte_is_judged(editor: httpx.AsyncClient) -> None:
    padding = b" " * (MIB - len(json.dumps(member("clinic"))))
    answer = await editor.put(CLINIC, content=json.dumps(member("clinic")).encode() + padding, headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize("depth", [33, 1_000, 100_000])
async def test_a_body_that_is_nested_too_deep_is_refused(editor: httpx.AsyncClient, depth: int) -> None:
    answer = await editor.put(CLINIC, content=nested(depth), headers=JSON)
    assert answer.status_code in {400, 422}
    assert flaws_of(answer, answer.status_code)
    merge = {"content-type": "application/merge-patch+json"}
    answer = await editor.patch("/v1/policies/service/registry", content=nested(depth), headers=ANY | merge)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\x00"}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_what_is_not_json_is_400(editor: httpx.AsyncClient, body: bytes) -> None:
    for path in (CLINIC, "/v1/services/registry/endpoints/127.0.0.1:1"):
        assert flaws_of(await editor.put(path, content=body, headers=JSON), 400) == [("", "")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"kind": "member", "kind": "service"}', ""),
        (b'{"a": {"b": [1, "\\u0000"]}}', "/a/b/1"),
        (b'{"a/b~": "\\ud800"}', "/a~1b~0"),
        (b'{"a": 1e999}', "/a"),
        (b'{"a": 9007199254740993}', "/a"),
        (b'{"\\u0000": 1}', "/\\x00"),
        (b'"' + "é".encode() * 1000 + b'"', ""),
    ],
)
async def test_what_no_store_can_keep_is_422_at_its_place(editor: httpx.AsyncClient, body: bytes, pointer: str) -> None:
    assert [place for _, place in flaws_of(await editor.put(CLINIC, content=body, headers=JSON))] == [pointer]


async def test_a_body_with_a_hundred_thousand_names_is_answered(editor: httpx.AsyncClient) -> None:
    names = {f"n{number}": 1 for number in range(70_000)}
    body = json.dumps(names | {"last": 1}).replace('"last"', '"n0"').encode()
    assert len(body) < MIB
    assert flaws_of(await editor.put(CLINIC, content=body, headers=JSON)) == [("", "")]
    assert flaws_of(await editor.put(CLINIC, json=names | member("clinic"))) == [("", "")]
    unknown = {f"n{number}": 1 for number in range(500)}
    problem = problem_of(await editor.put(CLINIC, json=unknown | member("clinic")), 422)
    assert len(problem["errors"]) == 100


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/merge-patch+json"},
        {"content-type": "application/json; charset=latin1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_another_media_type_is_415(editor: httpx.AsyncClient, headers: dict[str, str]) -> None:
    problem_of(await editor.put(CLINIC, content=b"{}", headers=headers), 415)


async def test_the_character_set_may_be_said_and_every_script_is_kept(editor: httpx.AsyncClient) -> None:
    headers = {"content-type": 'application/json; charset="UTF-8"'}
    answer = await editor.put(CLINIC, content=json.dumps(member("clinic")).encode(), headers=headers)
    assert answer.status_code == 201


async def test_the_correlation_id_comes_back_or_is_made(editor: httpx.AsyncClient) -> None:
    for path in ("/health", "/v1/policies", "/v1/nowhere"):
        answer = await editor.get(path, headers={"x-correlation-id": "tx-1.~_"})
        assert answer.headers.get_list("x-correlation-id") == ["tx-1.~_"]
    for wrong in ("a b", "x" * 129, "é".encode("latin-1").decode("latin-1")):
        answer = await editor.get("/health", headers=[(b"x-correlation-id", wrong.encode("latin-1"))])
        assert flaws_of(answer) == [("X-Correlation-Id", "")]
        assert answer.headers["x-correlation-id"] != wrong


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
async def test_an_undeclared_method_is_405_with_allow(editor: httpx.AsyncClient, method: str) -> None:
    answer = await editor.request(method, "/v1/versions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert (await editor.post(CLINIC)).headers["allow"] == "DELETE, GET, PATCH, PUT"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/policies", "/v1/policies/", "/v1/%70olicies", "//health", "/HEALTH", "/v1/policies/x"]
)
async def test_no_spelling_of_a_path_is_another_way_in(editor: httpx.AsyncClient, path: str) -> None:
    problem_of(await editor.get(path), 404)


async def test_what_is_no_http_is_refused_like_everything_else(admin: Admin) -> None:
    answer = await raw(admin, b"NONSENSE\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"x-correlation-id" in answer


async def test_a_client_that_goes_away_harms_nobody(admin: Admin, editor: httpx.AsyncClient) -> None:
    for part in (
        b"PUT",
        f"PUT {CLINIC} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{".encode(),
    ):
        reader, writer = await connect(admin)
        writer.write(part)
        await writer.drain()
        writer.transport.abort()
        del reader
    assert (await editor.get("/health")).status_code == 200
    assert (await editor.get(CLINIC)).status_code == 404


async def test_a_store_that_fails_is_503_and_says_when_to_come_back(admin: Admin, editor: httpx.AsyncClient) -> None:
    (admin.folder / "policies.db").unlink()
    answer = await editor.put(CLINIC, json=member("clinic"))
    assert problem_of(answer, 503)["type"] == "urn:meshmark:problem:unavailable"
    assert int(answer.headers["retry-after"]) >= 1
    assert str(admin.folder) not in answer.text


@pytest.mark.parametrize(
    ("table", "asked"),
    [("versions", {name for name, _ in requests()}), ("changes", {"followChanges", "listPolicies", "putPolicy"})],
)
async def test_no_operation_fails_otherwise_while_the_store_is_damaged(
    admin: Admin, editor: httpx.AsyncClient, table: str, asked: set[str]
) -> None:
    """Whatever the database says, the answer is one that the contract declares: the client judges it."""
    with sqlite3.connect(admin.folder / "policies.db") as other:
        other.execute(f"DROP TABLE {table}")
    answers = {name: await ask(editor, request) for name, request in requests() if name in asked}
    assert answers["putPolicy"].status_code == answers["followChanges"].status_code == 503


async def test_a_store_that_was_replaced_by_something_else_is_503_too(admin: Admin, editor: httpx.AsyncClient) -> None:
    file = admin.folder / "policies.db"
    file.unlink()
    file.write_bytes(b"this is no database, and long enough to be looked at as one" * 100)
    problem_of(await editor.put(CLINIC, json=member("clinic")), 503)


async def connect(admin: Admin) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    tls = admin.credential(EDITOR).client_context(admin.domain.bundle_pem)
    return await asyncio.open_connection("127.0.0.1", admin.service.port, ssl=tls)


async def raw(admin: Admin, sent: bytes) -> bytes:
    reader, writer = await connect(admin)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer
