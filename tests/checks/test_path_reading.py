"""How a path may be read behind a security server, and whether every reading stays within a rule."""

from __future__ import annotations

import pytest

from conformance.checks.authz.reading import covers, lenient, within
from conformance.probe import PathMatch, PathMatchKind

PREFIX = PathMatch(PathMatchKind.PREFIX, "/v1/public")
EXACT = PathMatch(PathMatchKind.EXACT, "/v1/report")


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/", "/"),
        ("/v1/public", "/v1/public"),
        ("/v1/public/", "/v1/public/"),
        ("//v1///public", "/v1/public"),
        ("/v1/./public", "/v1/public"),
        ("/v1/public/.", "/v1/public/"),
        ("/v1/public/..", "/v1/"),
        ("/v1/public/../private", "/v1/private"),
        ("/../../v1", "/v1"),
        ("/v1/..", "/"),
        ("/v1/%2e%2E/private", "/private"),
        ("/v1/public%2f..%2Fprivate", "/v1/private"),
        ("/v1/public\\..\\private", "/v1/private"),
        ("/v1/public%5c..%5cprivate", "/v1/private"),
        ("/v1/public/..;x=1/private", "/v1/private"),
        ("/v1/public/..%3b/private", "/v1/public/..;/private"),
        ("/v1;a/public;b", "/v1/public"),
        ("/v1/public#/../private", "/v1/public"),
        ("/v1/%252e%252e/private", "/v1/%2e%2e/private"),
        ("/v1/.../private", "/v1/.../private"),
        ("/v1/%c0%ae%c0%ae/private", "/v1/\xc0\xae\xc0\xae/private"),
    ],
)
def test_a_lenient_server_reads_the_path_behind_the_spelling(path: str, read: str) -> None:
    assert lenient(path) == read


@pytest.mark.parametrize("path", ["/v1/public", "/v1/public/", "/v1/public/a/b"])
def test_a_prefix_covers_itself_and_what_is_below(path: str) -> None:
    assert covers(PREFIX, path)


@pytest.mark.parametrize("path", ["/v1/publications", "/v1/PUBLIC", "/v1", "/", "", "/v1/public;x"])
def test_a_prefix_ends_where_a_segment_ends(path: str) -> None:
    assert not covers(PREFIX, path)


def test_the_prefix_of_everything_covers_everything() -> None:
    assert covers(PathMatch(PathMatchKind.PREFIX, "/"), "/anything")


@pytest.mark.parametrize(("path", "covered"), [("/v1/report", True), ("/v1/report/", False), ("/v1/report/a", False)])
def test_an_exact_path_covers_itself_only(path: str, covered: bool) -> None:
    assert covers(EXACT, path) is covered


@pytest.mark.parametrize(
    "target",
    ["/v1/public", "/v1/public?to=/v1/private", "/v1/public/a;b", "/v1/report?x", "/v1/public/%252e%252e/private"],
)
def test_a_target_is_within_if_both_readings_are(target: str) -> None:
    assert within(target, [PREFIX, EXACT])


@pytest.mark.parametrize(
    "target",
    [
        "/v1/public/../private",
        "/v1/public/..;/private",
        "/v1/public/..%2fprivate",
        "/v1/private/../public",
        "//v1/public",
        "/v1/report;x",
        "/v1/report/",
        "/V1/public",
        "/v1/private",
    ],
)
def test_a_target_is_outside_if_one_reading_is(target: str) -> None:
    assert not within(target, [PREFIX, EXACT])


def test_two_rules_do_not_vouch_for_each_other() -> None:
    assert not within("/v1/public/../report", [PREFIX, EXACT])
