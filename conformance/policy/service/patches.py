"""Partial changes of a document: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902).

Invariant: no patch, however small, makes a document that a client could not have sent whole: `copy` could double it
with each operation, so its size is looked at after each.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import jsonpatch

from conformance.policy.service.bodies import LARGEST_BODY, JsonValue, unstorable
from conformance.policy.service.problems import MOST_FLAWS, Flaw, Problem, Reason

__all__ = ["JSON_PATCH", "MERGE_PATCH", "PATCHES", "patched"]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
MOST_OPERATIONS = 100


def patched(media_type: str, document: Mapping[str, Any], patch: JsonValue) -> dict[str, Any]:
    """The document after the patch; the given one stays as it is.

    Raises:
        Problem: 422, the patch is not one, or makes something that is no document; 409, it does not fit what is there.

    """
    result = PATCHES[media_type](copy.deepcopy(dict(document)), patch)
    if not isinstance(result, dict):
        raise Problem(Reason.INVALID, "the patch makes something that is no policy", [Flaw("must be an object")])
    flaws = list(islice(unstorable(result), MOST_FLAWS))
    if flaws:
        raise Problem(Reason.INVALID, "the patch makes a policy that cannot be kept", flaws)
    return result


def _merged(target: JsonValue, patch: JsonValue) -> JsonValue:
    if not isinstance(patch, dict):
        return patch
    result = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


def _operated(target: JsonValue, patch: JsonValue) -> JsonValue:
    if not isinstance(patch, list) or len(patch) > MOST_OPERATIONS:
        raise _no_patch("", f"must be a list of at most {MOST_OPERATIONS} operations")
    for number, operation in enumerate(patch):
        pointer = f"/{number}"
        if not isinstance(operation, dict) or not all(
            isinstance(operation.get(key, ""), str) for key in ("op", "path", "from")
        ):
            raise _no_patch(pointer, "must be an object whose `op`, `path` and `from` are texts")
        try:
            target = jsonpatch.JsonPatch([operation]).apply(target, in_place=True)
        except (jsonpatch.JsonPatchConflict, jsonpatch.JsonPatchTestFailed, jsonpatch.JsonPointerException) as problem:
            detail = "the patch does not fit the policy as it is"
            raise Problem(Reason.CONFLICT, detail, [Flaw(str(problem), pointer=pointer)]) from problem
        except (jsonpatch.InvalidJsonPatch, TypeError) as problem:
            raise _no_patch(pointer, f"is no operation that can be done here: {problem}") from problem
        if len(json.dumps(target)) > LARGEST_BODY:
            raise Problem(Reason.TOO_LARGE, f"the patch makes a policy of more than {LARGEST_BODY} bytes")
    return target


def _no_patch(pointer: str, reason: str) -> Problem:
    return Problem(Reason.INVALID, "the body is not a JSON Patch", [Flaw(reason, pointer=pointer)])


PATCHES: Mapping[str, Callable[[JsonValue, JsonValue], JsonValue]] = {MERGE_PATCH: _merged, JSON_PATCH: _operated}
"""By media type."""
