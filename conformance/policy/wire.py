"""Policies and their changes as JSON, for followers in other processes.

Invariant: what is read back equals what was written, revision and all. This is not the form of documents: callers are
resolved, and every default is filled in.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from conformance.model.errors import EnvironmentFault
from conformance.model.policies import Kind, MemberPolicy, MeshPolicy, Policy, PolicyChange, key_of
from conformance.model.policy import ServicePolicy

__all__ = ["change_from_json", "change_to_json"]

ADAPTERS: Final[dict[Kind, TypeAdapter[Any]]] = {
    Kind.MESH: TypeAdapter(MeshPolicy),
    Kind.MEMBER: TypeAdapter(MemberPolicy),
    Kind.SERVICE: TypeAdapter(ServicePolicy),
}


def change_to_json(change: PolicyChange) -> dict[str, Any]:
    """A change, in values of JSON."""
    return {
        "version": change.version,
        "put": [_policy_to_json(policy) for policy in change.put],
        "deleted": [{"kind": kind.value, "name": name} for kind, name in change.deleted],
    }


def change_from_json(value: Any) -> PolicyChange:  # noqa: ANN401 -- any value of JSON
    """What `change_to_json` wrote.

    Raises:
        EnvironmentFault: it is something else.

    """
    try:
        return PolicyChange(
            int(value["version"]),
            tuple(ADAPTERS[Kind(each["kind"])].validate_python(each["policy"]) for each in value["put"]),
            tuple((Kind(each["kind"]), str(each["name"])) for each in value["deleted"]),
        )
    except (LookupError, TypeError, ValueError, ValidationError) as error:
        raise EnvironmentFault(
            "a change of policies cannot be read",
            detail=str(error),
            next_step="use the same version of meshmark at both ends",
        ) from error


def _policy_to_json(policy: Policy) -> dict[str, Any]:
    kind, name = key_of(policy)
    return {"kind": kind.value, "name": name, "policy": ADAPTERS[kind].dump_python(policy, mode="json")}
