"""Where a mesh can be changed from outside: by an operator's overlays, and by the seeded faults that prove the checks.

Both are the same thing, a `Modifier`. The plain one changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jsonpatch

from conformance.authn.behaviour import Behaviour as DecisionBehaviour
from conformance.controlplane.behaviour import Behaviour
from conformance.controlplane.resources import ResourceType
from conformance.mesh.sites import Wiring
from conformance.model.errors import UsageError
from conformance.model.policies import Policy
from conformance.model.policy import ServicePolicy
from conformance.model.run_file import Overlay
from conformance.policy.store import ProxyReport, Store

__all__ = ["Modifier", "Overlays", "Resources"]

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


class Overlays(Modifier):
    """JSON Patches (RFC 6902) on the resources that type and name select."""

    def __init__(self, overlays: Sequence[Overlay], *, where: Callable[[int], str] = "overlays.{}".format) -> None:
        """`where` names an overlay in messages, by its number."""
        self._overlays = overlays
        self._where = where
        self._used: set[int] = set()

    def resources(self, server: str, resources: Resources) -> Resources:
        """Patch whatever an overlay selects.

        Raises:
            UsageError: a patch does not apply: a path that is not there, a failed `test`.

        """
        changed = resources
        for number, overlay in enumerate(self._overlays):
            resource_type = ResourceType[overlay.type.upper().replace("-", "_")]
            if not fnmatchcase(server, overlay.server):
                continue
            of_type: Mapping[str, dict[str, Any]] = changed.get(resource_type, {})
            selected = [name for name in of_type if fnmatchcase(name, overlay.name)]
            if not selected:
                continue
            self._used.add(number)
            patched = {name: self._patch(number, overlay, name, of_type[name]) for name in selected}
            changed = {**changed, resource_type: {**of_type, **patched}}
        return changed

    def refuse_unused(self) -> None:
        """Refuse overlays that have selected nothing so far: most likely a misspelt name.

        Raises:
            UsageError: there are such overlays.

        """
        unused = [number for number in range(len(self._overlays)) if number not in self._used]
        if unused:
            raise UsageError(
                "the overlay selects no resource",
                where=self._where(unused[0]),
                detail="\n".join(f"{self._where(number)}: this one neither" for number in unused[1:]) or None,
                next_step="mend `type`, `name` or `server` of the overlay",
            )

    def _patch(self, number: int, overlay: Overlay, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        try:
            patched: dict[str, Any] = jsonpatch.apply_patch(copy.deepcopy(resource), overlay.patch)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as problem:
            raise UsageError(
                f"the overlay does not apply to {overlay.type} {name}: {problem}",
                where=self._where(number),
                next_step="mend the path; paths are those of the resource in protobuf JSON form",
            ) from problem
        return patched
