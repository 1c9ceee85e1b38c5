"""What can be told about a node: what happened, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from conformance.controlplane.exchange import Rejection
from conformance.controlplane.resources import ResourceType
from conformance.controlplane.snapshot import Version

__all__ = ["Event", "EventKind", "NodeStatus", "TypeStatus"]


class EventKind(Enum):
    """What happened between the control plane and a node."""

    CONNECT = "connect"
    REQUEST = "request"
    RESPONSE = "response"
    ACK = "ack"
    NACK = "nack"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Event:
    """One observed event; `at` is seconds since the epoch."""

    at: float
    kind: EventKind
    type: ResourceType | None = None
    version: Version | None = None


@dataclass(frozen=True, slots=True)
class TypeStatus:
    """One type on one node. The counters are of everything ever sent to the node, over all its streams.

    `refused` are the resources that the proxy does not have as they should be, since it said no to a response that held
    them and has not accepted another one with them since; `rejection` is the last such no.
    """

    current: Version
    sent: Version | None
    acked: Version | None
    rejection: Rejection | None
    refused: frozenset[str]
    subscribed: bool
    responses: int
    resources: int
    bytes: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node. `connected_since` is seconds since the epoch, of its oldest open stream."""

    node_id: str
    known: bool
    connected_since: float | None
    streams: int
    types: Mapping[ResourceType, TypeStatus]
