"""Policy documents from files: YAML or JSON, several YAML documents in one file if need be.

Invariants: no file is opened; a document that is handed out has the form of its kind, and every value in it is known by
its place in the file, so that what is found wrong later can be shown there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from conformance.model.policies import PolicyKey
from conformance.model.yaml_source import YamlDocument, parse_yaml_stream
from conformance.policy.documents.conversion import key_in, read
from conformance.policy.documents.problems import InvalidPolicies, Problem, name_of
from conformance.policy.store import Document

__all__ = ["LocatedDocument", "located", "parse_documents"]


@dataclass(frozen=True)
class LocatedDocument:
    """A policy document and where each of its values stands."""

    key: PolicyKey
    document: Document
    yaml: YamlDocument

    def where(self, path: str = "") -> str:
        """The value at a JSON pointer as `file:line:column`; the nearest one around it if there is none."""
        return _where(self.yaml, path)


def parse_documents(text: str, *, source: str) -> list[LocatedDocument]:
    """Read the documents of one file; empty ones are passed over.

    Args:
        text: its content.
        source: what messages call it, usually its path.

    Raises:
        YamlProblem: it is not YAML or JSON, or not in one way only.
        InvalidPolicies: a document has not the form of a policy, or two have one name. Each problem has its place.

    """
    found: dict[PolicyKey, LocatedDocument] = {}
    problems: list[Problem] = []
    for yaml in parse_yaml_stream(text, source=source):
        if yaml.value is None:
            continue
        key = key_in(yaml.value)
        name = name_of(key) if key else source
        _, wrong = read(yaml.value, called=name)
        if key and key in found:
            step = "give one of them another name, or keep only one"
            wrong.append(Problem(name, "/name", f"this policy stands already at {found[key].where()}", step))
        elif key and isinstance(yaml.value, dict):
            found[key] = LocatedDocument(key, yaml.value, yaml)
        problems += [replace(problem, where=_where(yaml, problem.path)) for problem in wrong]
    if problems:
        raise InvalidPolicies(problems)
    return list(found.values())


def located(problems: Iterable[Problem], documents: Sequence[LocatedDocument]) -> list[Problem]:
    """The same problems, with their places in the files that the documents came from."""
    by_name = {name_of(each.key): each for each in documents}
    return [
        replace(problem, where=by_name[problem.document].where(problem.path))
        if problem.document in by_name
        else problem
        for problem in problems
    ]


def _where(yaml: YamlDocument, path: str) -> str:
    value, steps = yaml.value, list[str | int]()
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            steps.append(int(key))
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            steps.append(key)
            value = value[key]
        else:
            break
    return yaml.where(steps)
