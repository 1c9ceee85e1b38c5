"""Policies as documents: read, judged, compared and written.

Invariants: nothing here opens a file, a socket or a store; a document is JSON (YAML is one way to write it), of the
form that `policy.schema.json` describes, at most 1 MiB and 32 levels deep, with at most 1,000 items in a list (10,000
in lists of names that grow with the mesh; 100 paths in a rule); every mistake is found, not only the first, and has its
document, its place and the next step.
"""

from conformance.policy.documents.conversion import canonical, key_in, to_document, to_policy
from conformance.policy.documents.difference import (
    ABSENT,
    Absent,
    DocumentDifference,
    ValueDifference,
    difference,
    difference_text,
)
from conformance.policy.documents.policy_set import IncrementalJudge, PolicySet, judge
from conformance.policy.documents.problems import InvalidPolicies, Problem
from conformance.policy.documents.reading import LocatedDocument, located, parse_documents

__all__ = [
    "ABSENT",
    "Absent",
    "DocumentDifference",
    "IncrementalJudge",
    "InvalidPolicies",
    "LocatedDocument",
    "PolicySet",
    "Problem",
    "ValueDifference",
    "canonical",
    "difference",
    "difference_text",
    "judge",
    "key_in",
    "located",
    "parse_documents",
    "to_document",
    "to_policy",
]
