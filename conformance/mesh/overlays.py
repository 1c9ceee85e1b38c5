"""An operator's overlays: JSON Patches on what security servers are told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jsonpatch

from conformance.controlplane.resources import ResourceType
from conformance.mesh.modifiers import Modifier, Resources
from conformance.model.errors import UsageError
from conformance.model.run_file import Overlay

__all__ = ["Overlays"]


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
