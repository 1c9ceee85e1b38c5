"""Faults of changes that follow one another: gaps between rule sets, lost ones, and what does not come back or go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from conformance.authn.behaviour import Behaviour as DecisionBehaviour
from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import Reference, Resource, ResourceType
from conformance.controlplane.snapshot import Change
from conformance.faults.areas.common import UNGUARDED, undecided
from conformance.faults.areas.policy import Between, open_to_everybody, with_inbound_routes
from conformance.faults.areas.policy_administration import Around, Kept
from conformance.faults.areas.policy_control_plane import Told
from conformance.faults.seeding import seed
from conformance.mesh import WITNESS, Modifier, Resources
from conformance.model.policies import Kind, PolicyChange, PolicyKey
from conformance.model.policy import ServicePolicy
from conformance.policy.store import Author, Judge, Store, Stored, Write
from conformance.probe import NEWCOMER

# ---------------------------------------------------------------------- whole rule sets


def all_rules_replaced(before: ServicePolicy, policy: ServicePolicy) -> bool:
    """Several rules took the place of others, none of which is left."""
    return len(policy.access) > 1 and len(before.access) > 1 and not set(before.access) & set(policy.access)


def field_by_field(before: ServicePolicy, policy: ServicePolicy) -> ServicePolicy:
    """Rule by rule: the methods arrive with this change, the paths with the next one."""
    if not all_rules_replaced(before, policy):
        return policy
    mixed = [replace(new, paths=old.paths) for old, new in zip(before.access, policy.access, strict=False)]
    return replace(policy, access=(*mixed, *policy.access[len(mixed) :]))


def late_endpoints(before: ServicePolicy, policy: ServicePolicy) -> ServicePolicy:
    """The old endpoints go with this change, the new ones come with the next one."""
    if set(before.endpoints) & set(policy.endpoints) or not before.endpoints:
        return policy
    return replace(policy, endpoints=())


seed(
    "policy-rules-changed-field-by-field",
    defect="When all rules of a service are replaced, methods arrive at once and paths with the next change.",
    modifier=Between(field_by_field),
    caught_by={"POLICY-009": "denied-not-refused"},
)
seed(
    "policy-endpoints-gone-before-the-new-come",
    defect="When all endpoints are exchanged, the old ones go at once and the new come with the next change.",
    modifier=Between(late_endpoints),
    caught_by={
        "POLICY-009": "allowed-not-served",
        "DISCOVERY-005": undecided("endpoints-not-both-used"),
        "DISCOVERY-006": undecided("first-not-called"),
    },
)
seed(
    "policy-rule-set-ignored",
    defect="A change that leaves no rule as it was is not passed on.",
    modifier=Between(lambda before, policy: before if all_rules_replaced(before, policy) else policy),
    caught_by={"POLICY-009": undecided("change-not-in-force")},
)

# ---------------------------------------------------------------------- many changes

BUCKET = 28
"""More than any check needs, but for the one that makes a burst."""


class Bucket(Around):
    """Takes so many changes of a service until there is a rollback, and drops what is more without a word."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._left = BUCKET

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """A rollback fills the bucket."""
        if note.startswith("Back to version"):
            self._left = BUCKET
        elif all(write.key[0] is Kind.SERVICE for write in writes):
            self._left -= 1
        if self._left < 0:
            return await self.store.version()
        return await super().commit(writes, author=author, note=note, judge=judge)


seed(
    "policy-changes-beyond-a-bucket",
    defect="A bucket of 28 changes, meant against abuse, is full: the policy admin service says yes and keeps nothing.",
    modifier=Kept(Bucket),
    caught_by={"POLICY-010": "last-not-enforced", "POLICY-016": undecided("change-not-in-force")},
)

# ---------------------------------------------------------------------- time

TOO_LONG_S = 3.5
"""More than the bounds that the kill matrix states, and less than its limit for an acknowledgement."""


class Belated(Around):
    """Whoever follows the policies hears of some changes late, and of what comes after them, too."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._late = 0

    def is_late(self, writes: Sequence[Write], before: Mapping[PolicyKey, Stored]) -> bool:
        """Whether a change is one of those."""
        return False

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """Kept at once."""
        late = self.is_late(writes, await self.store.documents())
        version = await super().commit(writes, author=author, note=note, judge=judge)
        if late:
            self._late = version
        return version

    async def changes(self, after: int) -> AsyncIterator[PolicyChange]:
        """Some late."""
        async for change in self.store.changes(after):
            if after < self._late <= change.version:
                await asyncio.sleep(TOO_LONG_S)
            after = change.version
            yield change


class RemovalsCollected(Belated):
    """Changes that take a rule away are late."""

    def is_late(self, writes: Sequence[Write], before: Mapping[PolicyKey, Stored]) -> bool:
        """Fewer rules than before."""
        return any(
            write.document is not None
            and write.key in before
            and len(write.document.get("access", ())) < len(before[write.key].document.get("access", ()))
            for write in writes
        )


class OneInForty(Belated):
    """One of forty changes since a rollback is late."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._changes = 0

    async def commit(self, writes: Sequence[Write], *, author: Author, note: str, judge: Judge) -> int:
        """A rollback begins anew."""
        self._changes = 0 if note.startswith("Back to version") else self._changes + 1
        return await super().commit(writes, author=author, note=note, judge=judge)

    def is_late(self, writes: Sequence[Write], before: Mapping[PolicyKey, Stored]) -> bool:
        """The fortieth."""
        return self._changes == 40


seed(
    "policy-removals-collected",
    defect="Changes that take rules away are collected for some seconds before anybody hears of them.",
    modifier=Kept(RemovalsCollected),
    caught_by={"POLICY-015": "too-late"},
)
seed(
    "policy-one-change-in-forty-late",
    defect="After every forty changes there is a pause of some seconds for tidying up.",
    modifier=Kept(OneInForty),
    caught_by={"POLICY-016": "too-slow"},
)

# ---------------------------------------------------------------------- rollback


class Earlier(Modifier):
    """Something else becomes of a policy that was there before, and is not the first of its service."""

    def __init__(self, made: Callable[[ServicePolicy, ServicePolicy], ServicePolicy]) -> None:
        self._make = made
        self._seen: dict[str, list[str]] = {}
        self._latest: dict[str, ServicePolicy] = {}

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """`made` gets the latest policy and the earlier one."""
        seen = self._seen.setdefault(policy.service, [])
        latest = self._latest.get(policy.service, policy)
        earlier = policy.version in seen[1:] and latest.version != policy.version
        if policy.version not in seen:
            seen.append(policy.version)
        if earlier:
            return self._make(latest, policy)
        self._latest[policy.service] = policy
        return policy


seed(
    "policy-rollback-taken-for-outdated",
    defect="The control plane takes an earlier revision of a service for outdated, unless it is the first one.",
    modifier=Earlier(lambda latest, _: latest),
    caught_by={"POLICY-011": "not-rolled-back"},
)
seed(
    "policy-rollback-without-rules",
    defect="A rollback brings an earlier revision back, but not its access rules.",
    modifier=Earlier(lambda latest, policy: replace(policy, access=latest.access)),
    caught_by={"POLICY-011": "other-decision"},
)

# ---------------------------------------------------------------------- deletion


class Deleting(Behaviour):
    """Of what is to be removed, only these types are."""

    def __init__(self, *kinds: ResourceType) -> None:
        self._kinds = kinds

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """Everything else stays."""
        return (Change(change.changed, frozenset(each for each in change.removed if each[0] in self._kinds)),)


class NeverAgain(Behaviour):
    """What was removed comes back as it was, or not at all."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Reference], Resource] = {}
        self._gone: dict[tuple[str, Reference], Resource] = {}

    def receive(self, node_id: str, change: Change, *, running: bool) -> Sequence[Change]:
        """Without routes that differ from removed ones."""
        taken = {}
        for key, told in change.changed.items():
            gone = self._gone.get((node_id, key))
            if gone is None or gone.encoded == told.encoded or key[0] is not ResourceType.ROUTE:
                taken[key] = self._known[node_id, key] = told
                self._gone.pop((node_id, key), None)
        for key in change.removed:
            if (node_id, key) in self._known:
                self._gone[node_id, key] = self._known[node_id, key]
        return (Change(taken, change.removed),)


seed(
    "policy-deletion-not-passed-on",
    defect="The control plane tells security servers what is new and what is different, and never what is gone.",
    modifier=Told(Deleting),
    caught_by={"POLICY-012": "still-let-through", "DISCOVERY-008": "left-the-caller"},
)
seed(
    "policy-deletion-of-addresses-only",
    defect="The deletion of a service takes away where it is found, and leaves its routes and rules.",
    modifier=Told(lambda: Deleting(ResourceType.CLUSTER, ResourceType.ENDPOINT)),
    caught_by={"POLICY-012": "wrong-refusal", "DISCOVERY-008": "wrong-refusal"},
)
seed(
    "policy-deleted-for-good",
    defect="The name of a deleted service is taken for ever: only the very same routes can come back under it.",
    modifier=Told(NeverAgain),
    # A service of the chain was once there under the same name, too.
    caught_by={"POLICY-012": "not-served-again", "TRACE-004": undecided("chain-not-passed")},
)

# ---------------------------------------------------------------------- a newcomer


class OpenAtFirst(Modifier):
    """A security server that was not there at the beginning gets open rules."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """The rules of its service would come with the first change of its policy."""
        return with_inbound_routes(resources, open_to_everybody) if server == NEWCOMER else resources


seed(
    "policy-newcomer-open-at-first",
    defect="A security server that joins begins with open rules, and gets its own with the first change.",
    modifier=OpenAtFirst(),
    caught_by={"POLICY-014": "served-without-policy"},
)


# ---------------------------------------------------------------------- the authentication service


class OldCopy(DecisionBehaviour):
    """Policies are read once; of later changes only the number is noted."""

    def __init__(self) -> None:
        self._services: set[str] = set()

    def receive(self, change: PolicyChange) -> Sequence[PolicyChange]:
        """Changes of services that are known already are left out."""
        self._services -= {name for _, name in change.deleted}
        put = [each for each in change.put if not (isinstance(each, ServicePolicy) and each.service in self._services)]
        self._services |= {each.service for each in put if isinstance(each, ServicePolicy)}
        return (replace(change, put=tuple(put)),)


class Deciding(Modifier):
    """An authentication service of this behaviour."""

    def __init__(self, new: Callable[[], DecisionBehaviour]) -> None:
        self._new = new

    def decisions(self) -> DecisionBehaviour:
        """A new one for each mesh."""
        return self._new()


class NeverAsked(Modifier):
    """Whether the authentication service is asked about the witness is decided at the beginning."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """It never is."""
        return replace(policy, authentication=False) if policy.service == WITNESS else policy


seed(
    "policy-authentication-from-an-old-copy",
    defect="The authentication service read the policies when it was started, and of changes notes the number only.",
    modifier=Deciding(OldCopy),
    caught_by={
        "POLICY-013": "not-followed",
        "AUTHZ-015": undecided("known-caller-refused"),
        "TRACE-003": undecided("chain-not-passed"),
        "TRACE-004": undecided("chain-not-passed"),
        **UNGUARDED,
    },
)
seed(
    "policy-authentication-never-asked",
    defect="A service whose policy asks for the authentication service goes on without it.",
    modifier=NeverAsked(),
    caught_by={
        "POLICY-013": undecided("not-asked"),
        **dict.fromkeys([f"AUTHZ-{number:03}" for number in range(6, 16)], undecided("policy-not-in-force")),
    },
)
