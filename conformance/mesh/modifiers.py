"""Where a mesh can be changed from outside: by an operator's overlays, and by the seeded faults that prove the checks.

Both are the same thing, a `Modifier`. The plain one changes nothing, and several are one again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from conformance.authn.behaviour import Behaviour as DecisionBehaviour
from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import ResourceType
from conformance.mesh.sites import Wiring
from conformance.model.policies import Policy
from conformance.model.policy import ServicePolicy
from conformance.policy.store import ProxyReport, Store

__all__ = ["Modifier", "Modifiers", "Resources"]

Resources = dict[ResourceType, dict[str, dict[str, Any]]]
"""One security server's resources by type and name, in protobuf JSON form."""


class Modifier:
    """Changes nothing. Subclasses override what they change, and return it anew instead of changing what is given."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """The resources that a security server gets."""
        return resources

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """The policy that the control plane makes of the one that it was told."""
        return policy

    def registered(self, policy: Policy) -> Policy:
        """What the register of the mesh says at the beginning instead of one of its policies."""
        return policy

    def behaviour(self) -> Behaviour:
        """How the control plane behaves on the wire."""
        return Behaviour()

    def decisions(self) -> DecisionBehaviour:
        """How the authentication service behaves."""
        return DecisionBehaviour()

    def keep(self, store: Store) -> Store:
        """The store that the policy admin service works on, and that everybody follows."""
        return store

    def report(self, report: ProxyReport) -> ProxyReport | None:
        """What the control loop reports about a security server, given the truth; None: nothing."""
        return report

    def farewell(self, server: str, resources: Resources) -> Resources:
        """The resources that a security server gets at last when the control plane is stopped."""
        return resources

    def restarts(self, server: str) -> bool:
        """Whether a security server is restarted after it was given new resources."""
        return False

    def wiring(self, wiring: Wiring) -> Wiring:
        """How hosts of their own are connected."""
        return wiring

    def arguments(self, application: str, arguments: list[str]) -> list[str]:
        """The command line that starts a building block."""
        return arguments

    def credential_kind(self, kind: str) -> str:
        """Which kind of certificate a check gets when it asks for one."""
        return kind


class Modifiers(Modifier):
    """Several, one after the other: each gets what the one before has made. False if there are none."""

    def __init__(self, modifiers: Iterable[Modifier] = ()) -> None:
        self._modifiers = list(modifiers)

    def __bool__(self) -> bool:
        return bool(self._modifiers)

    @contextmanager
    def joined_by(self, another: Modifier) -> Iterator[None]:
        """Until the end of the block there is one more, which has the last word."""
        self._modifiers.append(another)
        try:
            yield
        finally:
            self._modifiers.remove(another)

    def resources(self, server: str, resources: Resources) -> Resources:
        """After all of them."""
        for modifier in self._modifiers:
            resources = modifier.resources(server, resources)
        return resources

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """After all of them."""
        for modifier in self._modifiers:
            policy = modifier.policy(policy)
        return policy

    def registered(self, policy: Policy) -> Policy:
        """After all of them."""
        for modifier in self._modifiers:
            policy = modifier.registered(policy)
        return policy

    def behaviour(self) -> Behaviour:
        """That of the first one that changes it."""
        changed = (modifier.behaviour() for modifier in self._modifiers)
        return next((each for each in changed if type(each) is not Behaviour), Behaviour())

    def decisions(self) -> DecisionBehaviour:
        """That of the first one that changes it."""
        changed = (modifier.decisions() for modifier in self._modifiers)
        return next((each for each in changed if type(each) is not DecisionBehaviour), DecisionBehaviour())

    def keep(self, store: Store) -> Store:
        """After all of them."""
        for modifier in self._modifiers:
            store = modifier.keep(store)
        return store

    def report(self, report: ProxyReport) -> ProxyReport | None:
        """After all of them, unless one of them wants nothing to be said."""
        said: ProxyReport | None = report
        for modifier in self._modifiers:
            said = modifier.report(said) if said else None
        return said

    def farewell(self, server: str, resources: Resources) -> Resources:
        """After all of them."""
        for modifier in self._modifiers:
            resources = modifier.farewell(server, resources)
        return resources

    def restarts(self, server: str) -> bool:
        """Whether one of them wants it."""
        return any(modifier.restarts(server) for modifier in self._modifiers)

    def wiring(self, wiring: Wiring) -> Wiring:
        """After all of them."""
        for modifier in self._modifiers:
            wiring = modifier.wiring(wiring)
        return wiring

    def arguments(self, application: str, arguments: list[str]) -> list[str]:
        """After all of them."""
        for modifier in self._modifiers:
            arguments = modifier.arguments(application, arguments)
        return arguments

    def credential_kind(self, kind: str) -> str:
        """After all of them."""
        for modifier in self._modifiers:
            kind = modifier.credential_kind(kind)
        return kind
