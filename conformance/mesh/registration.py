"""How members and contracts are written into the register of the mesh, where its directory finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from conformance.model.policies import MemberId, MeshPolicy
from conformance.model.policy import Operation
from conformance.openapi.contract import Contract

__all__ = ["member_id", "registrable"]

MEMBER_CLASS = "GOV"


def member_id(member: str) -> MemberId:
    """The X-Road identifier of a member of this mesh."""
    return MemberId(MeshPolicy().instance, MEMBER_CLASS, member)


def registrable(contracts: Iterable[Contract]) -> tuple[Operation, ...]:
    """The operations of contracts, each once; those that no policy can name are left out.

    A contract that loads is tested, also where it is not valid, such as with a space in a path.
    """
    return tuple(dict.fromkeys(_registrable(contracts)))


def _registrable(contracts: Iterable[Contract]) -> Iterator[Operation]:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 -- takes 0.1 s, and so does the next

    from conformance.policy.documents.words import OperationText  # noqa: PLC0415 -- as above

    words: TypeAdapter[Operation] = TypeAdapter(OperationText)
    for contract in contracts:
        for operation in contract.operations:
            try:
                yield words.validate_python(f"{operation.method} {operation.path}")
            except ValidationError:
                continue
