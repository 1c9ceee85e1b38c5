"""What the forms of all documents have in common.

Invariant: a form takes the keys that it has and no others, and values of exactly the kind that JSON says: no text for a
number, no number for text.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from conformance.policy.documents.words import MOST_ITEMS, MOST_NAMES, distinct

__all__ = ["Distinct", "Form", "Items", "Names", "Whole"]

T = TypeVar("T")

Items = Annotated[tuple[T, ...], Field(strict=False, max_length=MOST_ITEMS)]
"""A list whose order means something, or whose items differ in more than their names. (JSON has no tuples.)"""
Distinct = Annotated[tuple[T, ...], Field(strict=False, max_length=MOST_ITEMS), AfterValidator(distinct)]
"""A list in which nothing is twice."""
Names = Annotated[tuple[T, ...], Field(strict=False, max_length=MOST_NAMES), AfterValidator(distinct)]
"""A list of names that grows with the mesh."""
Whole = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Form(BaseModel):
    """A part of a document. `makes` is the value that it becomes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    makes: ClassVar[type]
