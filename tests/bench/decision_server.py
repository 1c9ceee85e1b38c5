"""`python -m tests.bench.decision_server SOCKET`: an authentication service in a process of its own, so that what it
costs can be told from what asking costs. It reads one line, the key set of the token issuer, and ends with its input.
Beside it, at `bare.sock`, listens a gRPC server that gives the same answer to everything: the yardstick.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio

from conformance.authn import AuthenticationService
from conformance.protobuf.listen import UnixListen
from tests.authn.authn_parts import EVERYTHING, MESH, change

__all__ = ["main"]


async def main(socket: Path) -> None:
    """Answer until nobody wants to know any more."""
    issuer = replace(MESH.issuers[0], jwks=sys.stdin.readline())
    service = AuthenticationService(decision_log=socket.with_name("decisions.log"))
    await service.apply(change(1, *EVERYTHING, replace(MESH, issuers=(issuer,))))
    await service.start(UnixListen(socket))
    bare = grpc.aio.server()
    bare.add_generic_rpc_handlers((_same_answer(),))
    UnixListen(socket.with_name("bare.sock")).bind(bare)
    await bare.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await bare.stop(None)
    await service.close()


def _same_answer() -> grpc.GenericRpcHandler:
    async def check(request: bytes, context: object) -> bytes:
        return b""

    handler = grpc.unary_unary_rpc_method_handler(check)
    return grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler})


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
