from __future__ import annotations

import gc

import pytest
from xds_parts import (
    ADS,
    CLUSTER,
    ENDPOINT,
    EXTENSION_CONFIG,
    LISTENER,
    ROUTE,
    SECRET,
    cluster,
    endpoints,
    listener,
)

from conformance.controlplane.resources import Resource, encode
from conformance.controlplane.snapshot import Change, Snapshot, Version, new_epoch
from conformance.protobuf.messages import InvalidResource


def keyed(*resources: Resource):
    return {(resource.type, resource.name): resource for resource in resources}


def test_equal_content_is_one_resource_whatever_the_order_of_its_fields():
    one = encode(CLUSTER, "orders", {"name": "orders", "connect_timeout": "1s"})
    other = encode(CLUSTER, "orders", {"connect_timeout": "1s", "name": "orders"})
    assert one is other


def test_the_digest_of_a_content_is_the_same_in_every_run():
    first = encode(CLUSTER, "orders", {"name": "orders"}).digest
    gc.collect()
    assert encode(CLUSTER, "orders", {"name": "orders"}).digest == first == "bfc879434d882789869acfdb8c427ec8"


def test_a_dict_that_is_changed_afterwards_does_not_change_the_resource():
    fields = {"name": "orders", "connect_timeout": "1s"}
    before = encode(CLUSTER, "orders", fields)
    fields["connect_timeout"] = "2s"
    after = encode(CLUSTER, "orders", fields)
    assert before.fields()["connect_timeout"] == "1s"
    assert after.fields()["connect_timeout"] == "2s"
    assert before.digest != after.digest


def test_a_resource_under_another_name_than_its_own_is_refused():
    with pytest.raises(InvalidResource, match="its field cluster_name says 'orders'"):
        encode(ENDPOINT, "payments", endpoints(1))


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(InvalidResource, match="only what JSON can hold"):
        encode(CLUSTER, "orders", {"name": value})


def test_references_are_found_wherever_they_stand_in_either_spelling():
    assert encode(LISTENER, "inbound", listener(policy=True, secret="identity")).references == {
        *((ROUTE, "routes"), (EXTENSION_CONFIG, "policy"), (SECRET, "identity"))
    }
    assert encode(CLUSTER, "orders", cluster()).references == {(ENDPOINT, "orders")}
    renamed = {"name": "orders", "type": "EDS", "edsClusterConfig": {"edsConfig": ADS, "serviceName": "elsewhere"}}
    assert encode(CLUSTER, "orders", renamed).references == {(ENDPOINT, "elsewhere")}
    assert encode(CLUSTER, "orders", {"name": "orders", "type": "STATIC"}).references == frozenset()


def test_neither_a_secret_nor_a_snapshot_shows_its_content():
    secret = encode(SECRET, "token", {"name": "token", "generic_secret": {"secret": {"inline_string": "hush hush"}}})
    snapshot = Snapshot.empty(1).apply(Change(keyed(secret)))
    assert "hush" not in repr(secret) + str(secret) + repr(snapshot)


def test_a_snapshot_never_changes_and_versions_of_other_types_stay():
    before = Snapshot.empty(7)
    orders = encode(CLUSTER, "orders", cluster())
    after = before.apply(Change(keyed(orders)))
    assert before.get(CLUSTER, "orders") is None
    assert after.get(CLUSTER, "orders") is orders
    assert after.versions[CLUSTER] == Version(7, 1)
    assert after.versions[ROUTE] == before.versions[ROUTE]
    assert after.resources[ROUTE] is before.resources[ROUTE]
    with pytest.raises(TypeError):
        after.resources[CLUSTER]["orders"] = orders  # type: ignore[index]


def test_only_the_effective_part_of_a_change_counts():
    orders, payments = encode(CLUSTER, "orders", cluster()), encode(CLUSTER, "payments", cluster("payments"))
    snapshot = Snapshot.empty(7).apply(Change(keyed(orders)))
    change = Change(keyed(orders, payments), frozenset({(CLUSTER, "never there")}))
    assert snapshot.effective(change) == Change(keyed(payments))
    assert not snapshot.effective(Change(keyed(orders)))


def test_versions_of_a_later_control_plane_are_greater():
    first, second = new_epoch(), new_epoch()
    assert Version(second, 0) > Version(first, 1_000_000)
    assert str(Version(5, 2)) == "5.2"
