"""What counts as a lost or changed header, and what does not."""

from __future__ import annotations

from conformance.checks.route.fidelity import altered


def test_a_header_of_several_values_may_arrive_as_one() -> None:
    assert altered([("x-many", "one"), ("X-Many", "two, three")], [("x-many", "one, two, three")]) == []


def test_values_in_another_order_are_a_change() -> None:
    assert altered([("x-many", "one"), ("x-many", "two")], [("x-many", "two"), ("x-many", "one")])


def test_cookies_that_were_joined_are_a_change() -> None:
    given = [("set-cookie", "a=1; Expires=Mon, 01 Jan 2035 00:00:00 GMT"), ("set-cookie", "b=2")]
    assert altered(given, given) == []
    assert altered(given, [("set-cookie", ", ".join(value for _, value in given))])


def test_hop_by_hop_headers_and_added_ones_are_nobodys_loss() -> None:
    assert altered([("connection", "keep-alive")], [("x-added", "by the mesh")]) == []


def test_a_lost_header_is_told_with_its_value() -> None:
    assert altered([("etag", '"42"')], []) == ["etag: '\"42\"' became None"]


def test_an_empty_value_is_not_the_same_as_no_header() -> None:
    assert altered([("x-empty", "")], [("x-empty", "")]) == []
    assert altered([("x-empty", "")], [])
