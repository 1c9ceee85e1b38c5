"""A small real building block for tests, over HTTP or mutual TLS, honest or misbehaving on demand."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

CONTRACT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Births", "version": "1"},
    "servers": [{"url": "https://elsewhere.example/api"}],
    "paths": {
        "/births": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Birth"}}},
                },
                "responses": {
                    "201": {
                        "description": "made",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Birth"}}},
                    },
                    "400": {"description": "refused"},
                },
            }
        },
        "/births/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Birth"}}},
                    },
                    "400": {"description": "refused"},
                    "404": {"description": "unknown"},
                },
            }
        },
    },
    "components": {
        "schemas": {
            "Birth": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "minLength": 1}, "weight": {"type": "integer", "minimum": 0}},
                "additionalProperties": False,
            }
        }
    },
}


def honest(method: str, path: str, body: bytes) -> tuple[int, Any]:
    """What the contract promises."""
    if method == "POST" and path == "/births":
        try:
            birth = json.loads(body)
        except ValueError:
            return 400, None
        good = isinstance(birth, dict) and isinstance(birth.get("name"), str) and birth["name"]
        weight = birth.get("weight", 0) if good else 0
        known = good and not birth.keys() - {"name", "weight"}
        whole = isinstance(weight, int | float) and not isinstance(weight, bool) and weight == int(weight) >= 0
        return (201, birth) if known and whole else (400, None)
    if method == "GET" and path.startswith("/births/"):
        return (200, {"name": "Ana"}) if re.fullmatch(r"/births/-?\d+", path) else (400, None)
    return 405 if path.startswith("/births") else 404, None


@dataclass
class Visits:
    """What the server saw."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    certificates: list[Any] = field(default_factory=list)


Behaviour: TypeAlias = Callable[[str, str, bytes], tuple[int, Any] | str]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = behaviour
        self.tls = tls
        self.visits = Visits()
        self.over = threading.Event()

    def handle_error(self, *_: Any) -> None:
        return

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's own thread.
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                request.close()
                return
        super().process_request_thread(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0) or 0))
        self.server.visits.requests.append((self.command, self.path, dict(self.headers)))
        if self.server.tls is not None:
            self.server.visits.certificates.append(self.connection.getpeercert())
        result = self.server.behaviour(self.command, self.path.partition("?")[0], body)
        if isinstance(result, str):
            self.close_connection = True
            getattr(self, result)()
            return
        status, value = result
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        if value is not None:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_HEAD = do_PATCH = do_TRACE = do_QUERY = answer  # noqa: N815

    def hang(self) -> None:
        self.server.over.wait(60)

    def close(self) -> None:
        return

    def garbage(self) -> None:
        self.wfile.write(b"\x00\xff no HTTP at all \r\n\r\n" * 10)

    def endless(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self.server.over.is_set():
            self.wfile.write(b"[" * 65536)

    def trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self.server.over.is_set():
            self.wfile.write(b" ")
            self.server.over.wait(0.05)

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def serving(behaviour: Behaviour = honest, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, Visits]]:
    """Serve until the block ends; a behaviour gives status and JSON body, or names a misbehaviour."""
    server = Server(behaviour, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", server.visits
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
