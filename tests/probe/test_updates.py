from __future__ import annotations

from conformance.probe import Updates

EARLIER = Updates(
    sent={"sent ROUTE": 1, "sent CLUSTER": 4},
    taken_over={"http.inbound.rds.inbound.update_success": 2},
    versions={"http.inbound.rds.inbound.version_text": "7.1"},
)


def test_nothing_is_new_when_nothing_happened() -> None:
    assert EARLIER.since(EARLIER) == {}


def test_what_grew_is_told_by_how_much_and_a_version_by_its_new_text() -> None:
    later = Updates(
        sent={"sent ROUTE": 3, "sent CLUSTER": 4},
        taken_over={"http.inbound.rds.inbound.update_success": 3, "cluster.new.update_success": 1},
        versions={"http.inbound.rds.inbound.version_text": "7.2"},
    )
    assert later.since(EARLIER) == {
        "sent ROUTE": 2,
        "http.inbound.rds.inbound.update_success": 1,
        "cluster.new.update_success": 1,
        "http.inbound.rds.inbound.version_text": "7.2",
    }
