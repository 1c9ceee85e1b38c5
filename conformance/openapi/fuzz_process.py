"""The program in which schemathesis runs: its command line, with bounds that its own options do not offer.

Usage: `python -m conformance.openapi.fuzz_process LARGEST_BODY LONGEST_BODY_S SERVER_NAME ARGUMENTS...`. A subject may
send a body that never ends: here it ends after so many bytes or seconds, and schemathesis sees a broken connection.
The certificate of the server is compared with SERVER_NAME instead of the host in the address, unless that is empty.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["main"]

CHUNK = 64 * 1024
# The backstop of the bounds: neither the reports nor the memory of a run that goes astray fill the machine.
LARGEST_FILE = 512 * 1024 * 1024
LARGEST_MEMORY = 8 * 1024 * 1024 * 1024


def main() -> None:
    """Set the bounds and hand over."""
    largest_body, longest_body_s, server_name = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    sys.argv = ["schemathesis", *sys.argv[4:]]
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _bound_bodies(largest_body, longest_body_s)
    if server_name:
        _expect_name(server_name)
    from schemathesis.cli import schemathesis  # noqa: PLC0415 -- after the bounds

    schemathesis()


def _bound_bodies(largest: int, longest_s: float) -> None:
    import requests  # noqa: PLC0415 -- as above
    from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError  # noqa: PLC0415

    def bounded(response: requests.Response, *_: Any, **__: Any) -> Iterator[bytes]:  # noqa: ANN401
        deadline, size = time.monotonic() + longest_s, 0
        try:
            # `read1` gives what is there; `read` would wait until a chunk is full, however slowly it fills.
            while chunk := response.raw.read1(CHUNK, decode_content=True):
                size += len(chunk)
                if size > largest or time.monotonic() > deadline:
                    response.close()
                    raise requests.exceptions.ChunkedEncodingError(
                        f"the body did not end within {largest:,} bytes and {longest_s:g} s"
                    )
                yield chunk
        except ProtocolError as problem:
            raise requests.exceptions.ChunkedEncodingError(problem) from problem
        except DecodeError as problem:
            raise requests.exceptions.ContentDecodingError(problem) from problem
        except ReadTimeoutError as problem:
            raise requests.exceptions.ReadTimeout(problem) from problem

    requests.Response.iter_content = bounded  # type: ignore[method-assign,assignment]


def _expect_name(server_name: str) -> None:
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 -- as above

    original = HTTPAdapter.init_poolmanager

    def named(adapter: HTTPAdapter, *positional: Any, **named: Any) -> None:  # noqa: ANN401
        original(adapter, *positional, server_hostname=server_name, assert_hostname=server_name, **named)

    HTTPAdapter.init_poolmanager = named  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main()
