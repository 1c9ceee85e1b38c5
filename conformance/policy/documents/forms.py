"""Which form a document of each kind has."""

from __future__ import annotations

from typing import Final

from conformance.model.policies import Kind
from conformance.policy.documents.mesh_form import MemberForm, MeshForm
from conformance.policy.documents.service_form import ServiceForm

__all__ = ["FORMS"]

FORMS: Final[dict[Kind, type[MeshForm | MemberForm | ServiceForm]]] = {
    Kind.MESH: MeshForm,
    Kind.MEMBER: MemberForm,
    Kind.SERVICE: ServiceForm,
}
