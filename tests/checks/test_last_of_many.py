"""Which calls show that an earlier policy came back after the last one: per caller, since callers overlap."""

from __future__ import annotations

import pytest

from conformance.checks.policy.history import undone
from conformance.probe import Exchange, WatchedCall

LAST = "last"


def calls(*decided: tuple[int, str]) -> list[WatchedCall]:
    """Calls in the order of their answers: by whom, and which policy decided."""
    exchange = Exchange(
        nonce="n",
        method="GET",
        url="http://127.0.0.1/",
        request_headers=(),
        request_body=b"",
        status=200,
        headers=(),
        body=b"",
        failure=None,
        http_version="HTTP/1.1",
        local_port=1,
        duration_s=0.0,
    )
    return [WatchedCall(caller, exchange, {"policy": policy}, 1) for caller, policy in decided]


@pytest.mark.parametrize(
    ("decided", "found"),
    [
        ([], 0),
        ([(0, "first"), (0, LAST), (0, LAST)], 0),
        ([(0, LAST), (1, "first"), (1, LAST)], 0),
        ([(0, LAST), (0, "first"), (0, LAST)], 1),
        ([(0, LAST), (1, LAST), (0, "first"), (1, "second")], 2),
    ],
    ids=["no call", "in order", "another caller was under way", "one went back", "both went back"],
)
def test_a_call_counts_only_after_the_same_caller_was_decided_by_the_last(
    decided: list[tuple[int, str]], found: int
) -> None:
    assert len(undone(calls(*decided), LAST)) == found
