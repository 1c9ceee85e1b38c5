"""Where policies are kept, with their history: what any store promises.

Invariants: a commit is whole or not at all, and what was acknowledged survives the end of the process and of the
machine; versions are numbers that grow by one; the history is only ever added to; a store keeps documents as they were
written, and hands out values with every caller resolved to a SPIFFE id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from conformance.model.errors import UsageError
from conformance.model.policies import PolicyFeed, PolicyKey

__all__ = [
    "Author",
    "Conflict",
    "Document",
    "Entry",
    "Judge",
    "ProxyReport",
    "ProxyState",
    "Store",
    "Stored",
    "Write",
]

REASON_BEGINS, REASON_ENDS = 80, 200
"""Characters that are shown of a long reason."""

Document = Mapping[str, Any]
"""A policy as it was written, in JSON form. What a store hands out is shared: nobody changes it."""


@dataclass(frozen=True)
class Author:
    """Who changes something. `identity` is a SPIFFE id; `role` the name of the role that allowed it."""

    identity: str
    role: str


@dataclass(frozen=True)
class Write:
    """One document of a commit.

    Attributes:
        key: kind and name.
        document: as it shall be; None: deleted.
        expected: the version in which it was last changed, as the author knows it; 0: it is not there yet; None: the
            author does not care.

    """

    key: PolicyKey
    document: Document | None
    expected: int | None = None


@dataclass(frozen=True)
class Stored:
    """A document, and the version that made it what it is."""

    document: Document
    changed_in: int


@dataclass(frozen=True)
class Entry:
    """One line of the audit log: what a version changed, who did it and why.

    Attributes:
        version: the version that the change made.
        at: when, ISO 8601 in UTC.
        author: who.
        note: why, in the author's words.
        changes: for each changed document what it was before and what it is since; None: not there.

    """

    version: int
    at: str
    author: Author
    note: str
    changes: Mapping[PolicyKey, tuple[Document | None, Document | None]]


class ProxyState(StrEnum):
    """What became of a version at one security server."""

    PENDING = "pending"
    """It was sent, or is about to be; no answer yet."""
    APPLIED = "applied"
    """Acknowledged (ACK)."""
    REJECTED = "rejected"
    """Refused (NACK), for the reason given; the last good configuration stays in force."""


@dataclass(frozen=True)
class ProxyReport:
    """What a control plane says about one version and one security server that it concerns.

    Attributes:
        version: the version of the store.
        proxy: the node id of the security server.
        state: what became of it.
        since: since when it is so, ISO 8601 in UTC.
        reason: why it was rejected; else empty.
        control_plane: who says so.

    """

    version: int
    proxy: str
    state: ProxyState
    since: str
    reason: str = ""
    control_plane: str = ""

    @property
    def reason_in_short(self) -> str:
        """The reason without its middle, if it is long: Envoy writes the whole resource before what is wrong."""
        if len(self.reason) <= REASON_BEGINS + REASON_ENDS:
            return self.reason
        return f"{self.reason[:REASON_BEGINS]} … {self.reason[-REASON_ENDS:]}"


class Conflict(UsageError):  # noqa: N818 -- whose fault it is stands in the base's name
    """Somebody else was there first: documents are not at the version that the author expected.

    Attributes:
        documents: each of them, and the version that changed it last (deleted it, if it is no more); 0: it never was.

    """

    def __init__(self, documents: Mapping[PolicyKey, int], *, where: str, detail: str) -> None:
        self.documents = documents
        super().__init__(
            "somebody else changed what you are about to change",
            where=where,
            detail=detail,
            next_step="read these documents again, make your change to what they say now, and commit that",
        )


Judge = Callable[[Mapping[PolicyKey, Document], Sequence[Write]], None]
"""Judges what a commit would make: all documents as they would be, and those of its writes that change something.

Raises if they are no good. It is called in another thread, while no other commit can happen.
"""


class Store(PolicyFeed, Protocol):
    """Keeps policies. Several processes may use the same one; each follows what the others commit."""

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """Make all these changes, or none; gives the new version. One that changes nothing makes no version.

        Raises:
            Conflict: somebody else was there first: an `expected` does not hold.
            UsageError: the judge does not agree, or these writes cannot be kept.
            EnvironmentFault: the store cannot be written: a full disk, a lost database. Nothing was changed. Only when
                a database is lost at the very moment of the commit, it may be there or not, as the error then says;
                to repeat it is safe: what is there already changes nothing, or is a Conflict if `expected` was given.

        """
        ...

    async def version(self) -> int:
        """The newest version; 0 for an empty store."""
        ...

    async def documents(self, version: int | None = None) -> Mapping[PolicyKey, Stored]:
        """All documents as of a version, the newest by default."""
        ...

    async def document(self, key: PolicyKey, version: int | None = None) -> Stored | None:
        """One document as of a version, the newest by default."""
        ...

    async def history(
        self, *, key: PolicyKey | None = None, before: int | None = None, limit: int = 100
    ) -> list[Entry]:
        """The audit log, newest first; only what happened to one document, or from before a version on."""
        ...

    async def report(self, reports: Sequence[ProxyReport]) -> None:
        """Note what became of versions.

        Several control planes may report about the same proxies. `pending` is a claim that a version concerns a proxy:
        it replaces nothing, and counts for nothing once the proxy has applied a newer version. An answer replaces a
        claim and every answer that is not later (`since`); one of `applied` also answers the claims of older versions.

        Those of the newest 1,000 versions are kept, and the last one about each proxy.
        """
        ...

    async def reports(self, version: int) -> list[ProxyReport]:
        """What became of a version, for each security server that it concerns."""
        ...

    async def latest_reports(self) -> list[ProxyReport]:
        """For each security server the report about the newest version that concerns it."""
        ...

    async def close(self) -> None:
        """Let go of files and connections. Followers end."""
        ...
