"""Discovery responses as bytes, without the nonce: that is all in which the responses for many streams differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.snapshot import Snapshot
from conformance.protobuf import wire

__all__ = ["delta_response", "whole_listing", "whole_response"]

ENCODED_TYPE_URL = {kind: wire.field(4, kind.type_url.encode()) for kind in ResourceType}


def _head(kind: ResourceType, version: str) -> bytes:
    """What the responses of both dialects begin with."""
    return wire.field(1, version.encode()) + ENCODED_TYPE_URL[kind]


def whole_response(kind: ResourceType, version: str, resources: Mapping[str, Resource]) -> bytes:
    """A DiscoveryResponse without its nonce."""
    return b"".join([_head(kind, version), *(resource.encoded for resource in resources.values())])


def whole_listing(snapshot: Snapshot, kind: ResourceType) -> bytes:
    """The response that all streams with a wildcard subscription to this snapshot share."""
    if kind not in snapshot.listings:
        snapshot.listings[kind] = whole_response(kind, str(snapshot.versions[kind]), snapshot.resources[kind])
    return snapshot.listings[kind]


def delta_response(
    kind: ResourceType, version: str, resources: Mapping[str, Resource], removed: Collection[str]
) -> bytes:
    """A DeltaDiscoveryResponse without its nonce."""
    parts = [_head(kind, version)]
    for name, resource in resources.items():
        identity = wire.field(1, resource.digest.encode()) + wire.field(3, name.encode())
        parts.append(wire.field(2, identity + resource.encoded))
    parts.extend(wire.field(6, name.encode()) for name in removed)
    return b"".join(parts)
