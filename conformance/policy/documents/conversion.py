"""Documents become policies, and policies documents.

Invariants: `to_policy(to_document(policy)) == policy` for every policy that a document can say; a document in its
shortest form (`to_document`) leaves defaults out; documents that say the same have the same derived revision, whatever
they write out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conformance.model.policies import MESH, Kind, MemberId, MemberPolicy, MeshPolicy, Policy, PolicyKey, TokenIssuer
from conformance.model.policy import Operation, PathMatch, ServicePolicy
from conformance.policy.documents.form import Form
from conformance.policy.documents.forms import FORMS
from conformance.policy.documents.limits import bounded
from conformance.policy.documents.problems import InvalidPolicies, Problem, hint, name_of, pointer
from conformance.policy.documents.service_form import ServiceForm
from conformance.policy.store import Document

__all__ = ["canonical", "key_in", "read", "to_document", "to_policy"]

NAMES = {Kind.MEMBER: "member", Kind.SERVICE: "service"}
WRITTEN: dict[type, Callable[[Any], Any]] = {
    PathMatch: lambda match: {match.kind.value: match.path},
    Operation: lambda operation: f"{operation.method} {operation.path}",
    MemberId: str,
    TokenIssuer: lambda issuer: {"name": issuer.name, "issuer": issuer.issuer, "jwks": json.loads(issuer.jwks)},
    float: lambda number: int(number) if number.is_integer() else number,
}
"""Values that are not written key by key."""
NEEDED = {
    "bool_type": "true or false is needed",
    "float_type": "a number is needed",
    "int_type": "a whole number is needed",
    "model_type": "an object with keys is needed",
    "string_type": "text is needed",
    "string_too_short": "it must not be empty",
    "too_short": "it must not be empty",
    "tuple_type": "a list is needed",
}
"""What is wrong with a value that has the wrong shape."""
WORDS = {str, int, float, bool, type(None)}
"""Most values are one of these, and to ask whether they are forms takes longer."""
WHOLE = "the keys of each kind are described in policy.schema.json"


def to_policy(document: Document) -> Policy:
    """What a document says.

    Raises:
        InvalidPolicies: it is not in the form of a policy.

    """
    policy, problems = read(document)
    if policy is None:
        raise InvalidPolicies(problems)
    return policy


def to_document(policy: Policy) -> dict[str, Any]:
    """The shortest document that says this. A service's revision is left out where it is the derived one."""
    document = _content(policy)
    if isinstance(policy, ServicePolicy) and policy.version != _revision(document):
        document["revision"] = policy.version
    return document


def canonical(value: object) -> str:
    """JSON text that is the same for equal values, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def key_in(document: object) -> PolicyKey | None:
    """Kind and name of a document; None if it has none that can be understood."""
    if not isinstance(document, Mapping) or document.get("kind") not in list(Kind):
        return None
    kind = Kind(document["kind"])
    name = document.get("name", MESH if kind is Kind.MESH else None)
    return (kind, name) if isinstance(name, str) else None


def read(document: object, *, called: str | None = None) -> tuple[Policy | None, list[Problem]]:
    """What a document says, or all that is wrong with it, looked at alone.

    Args:
        document: any value that JSON can hold.
        called: what problems call it; by default its own kind and name.

    """
    key = key_in(document)
    name = called or (name_of(key) if key else "document")
    if fault := bounded(document):
        return None, [Problem(name, "", *fault)]
    if not isinstance(document, Mapping):
        return None, [Problem(name, "", "a policy is a JSON object with the keys `kind` and `name`", WHOLE)]
    if document.get("kind") not in list(Kind):
        known = ", ".join(Kind)
        given = f"`{document['kind']!s:.40}` is no kind of policy" if "kind" in document else "the key is missing"
        return None, [Problem(name, "/kind", given, f"the kinds are {known}")]
    try:
        form = FORMS[Kind(document["kind"])].model_validate(document)
    except ValidationError as problem:
        # A misspelt key explains the one that is missing because of it.
        return None, sorted(_problem(name, error, document) for error in problem.errors(include_url=False))
    policy = cast(Policy, _value(form))
    if isinstance(form, ServiceForm):
        policy = cast(ServicePolicy, policy)
        policy = dataclasses.replace(policy, version=form.revision or _revision(_content(policy)))
    return policy, []


def _value(form: Form) -> object:
    """The value that a form makes."""
    fields = {name: _plain(getattr(form, name)) for name in type(form).model_fields}
    if kind := fields.pop("kind", None):
        name = fields.pop("name")
        fields |= {NAMES[Kind(str(kind))]: name} if kind != Kind.MESH else {}
    if "revision" in fields:
        del fields["revision"]
        fields["version"] = ""
    return form.makes(**fields)


def _plain(value: object) -> object:
    if type(value) in WORDS:
        return value
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return _value(value) if isinstance(value, Form) else value


def _content(policy: Policy) -> dict[str, Any]:
    content = _written(policy)
    match policy:
        case MeshPolicy():
            return {"kind": Kind.MESH.value, **content}
        case MemberPolicy():
            return {"kind": Kind.MEMBER.value, "name": content.pop("member"), **content}
        case ServicePolicy():
            content.pop("version", None)
            # A service without a provider cannot be written as a document; reading it back says so.
            return {"kind": Kind.SERVICE.value, "name": content.pop("service"), **content}


def _written(value: Any) -> Any:  # noqa: ANN401 -- anything that a policy holds, as JSON
    written = WRITTEN.get(type(value))
    if written:
        return written(value)
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: _written(given)
            for field in dataclasses.fields(value)
            if (given := getattr(value, field.name)) != field.default
        }
    return value.value if isinstance(value, Enum) else value


def _revision(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:12]


def _problem(name: str, error: ErrorDetails, document: Document) -> Problem:
    path = pointer(error["loc"])
    given = error.get("input")
    match error["type"]:
        case "extra_forbidden":
            key = str(error["loc"][-1])
            keys = _keys_at(document, error["loc"][:-1])
            return Problem(name, path, f"unknown key `{key:.80}`", hint(key, keys, otherwise=_known(keys)))
        case "missing":
            return Problem(name, path, "the key is missing", "add it")
        case "string_type" if isinstance(given, int | float):
            return Problem(name, path, f"text is needed, here: {given!r:.80}", "write it in quotes")
    shown = f", here: {given!r:.80}" if isinstance(given, str | int | float | bool) else ""
    return Problem(name, path, _reason(error) + shown, "write it as the schema describes it")


def _reason(error: ErrorDetails) -> str:
    """What is wrong with a value, in the words of JSON."""
    if error["type"] in NEEDED:
        return NEEDED[error["type"]]
    if error["type"] == "too_long":
        return f"{error['ctx']['actual_length']} items; {error['ctx']['max_length']} are taken at most"
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _known(keys: list[str]) -> str:
    return f"known here: {', '.join(keys)}"


def _keys_at(document: Document, path: tuple[int | str, ...]) -> list[str]:
    """The keys that are valid at a place, from the forms themselves."""
    form: Any = FORMS[Kind(document["kind"])]
    for step in path:
        if isinstance(step, str):
            form = _form_in(form.model_fields[step].annotation)
    return sorted(form.model_fields)


def _form_in(annotation: Any) -> type[Form]:  # noqa: ANN401 -- a type, a union or a list of them
    waiting = [annotation]
    while waiting:
        here = waiting.pop()
        if isinstance(here, type) and issubclass(here, Form):
            return here
        waiting += getattr(here, "__args__", ())
    raise TypeError(f"no form in {annotation}")
