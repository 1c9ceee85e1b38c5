"""Where a control plane can be made to misbehave.

The suite proves its checks with seeded defects. Those of a control plane are subclasses of `Behaviour` that change one
answer each; the control plane itself knows nothing of them. Examples: dropping the changes of one node is `receive`
returning nothing for it; losing what changed while stopped is `receive` returning nothing when not `running`; sending
an older configuration after a newer is `receive` returning the change and then the one before; telling everybody about
everything is `targets` returning all nodes; never updating a proxy is `may_send` returning None once it has its first
resources; dropping a resource is `may_send` leaving it out; dying in the middle of a push is `reached` ending the
process.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from conformance.controlplane.resources import Resource, ResourceType
from conformance.controlplane.snapshot import Change

__all__ = ["Behaviour", "Stage"]


class Stage(StrEnum):
    """How far a push has come. The last three are reached for each type, in the order of sending."""

    RECEIVED = "received"
    """It was asked for; nothing has happened."""
    ENCODED = "encoded"
    """Its resources are good, and encoded."""
    STORED = "stored"
    """The node has it, and its streams know what is due."""
    COMPOSED = "composed"
    """A response is ready; its first byte is not written."""
    SENT = "sent"
    """A response is written; types that come later are not."""
    ACKNOWLEDGED = "acknowledged"
    """The proxy has answered a response, for good or ill."""


class Behaviour:
    """How a control plane behaves: honestly. Override a method to seed a defect."""

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """The changes to make, in this order, when `change` has been asked for `node_id`."""
        return (change,)

    def targets(self, node_id: str, all_nodes: Collection[str]) -> Collection[str]:
        """The nodes that get a response when `node_id` changed; others than itself get their own resources anew."""
        return (node_id,)

    def may_send(
        self, node_id: str, kind: ResourceType, resources: Mapping[str, Resource]
    ) -> Mapping[str, Resource] | None:
        """What of `resources` to put into the response that is due to `node_id`; None: send no response at all."""
        return resources

    def reached(self, stage: Stage, node_id: str, kind: ResourceType | None = None) -> None:
        """A push to `node_id` has come this far, with the response for `kind`."""
