"""What goes to and fro on a stream: a batch of resources, the response that carried it, and a refusal of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from conformance.controlplane.resources import Resource
from conformance.controlplane.snapshot import Version

__all__ = ["Batch", "Dialect", "Rejection", "Sent"]


class Dialect(Enum):
    """The two variants of the aggregated protocol."""

    STATE_OF_THE_WORLD = "state-of-the-world"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Batch:
    """The content of one response.

    `whole` lists every wanted resource (absence means removal, and `removed` is implied). `novel` are those that the
    client did not have like this. `transitional`: there is more to come of the same state, as of a change of which
    something else has to arrive first, so what was removed is still listed.
    """

    resources: Mapping[str, Resource]
    removed: Collection[str]
    novel: Collection[Resource]
    whole: bool
    transitional: bool


@dataclass(frozen=True, slots=True)
class Rejection:
    """A client refused a version. `detail` is its own explanation, scrubbed; `at` is seconds since the epoch."""

    version: Version
    code: int
    detail: str
    at: float


@dataclass(slots=True)
class Sent:
    """A response that went out, and what it held."""

    nonce: str
    version: Version
    transitional: bool
    names: Collection[str]
    removed: Collection[str]
    patience_until: float

    def holds(self, name: str) -> bool:
        """Whether it set or removed this."""
        return name in self.names or name in self.removed
