"""Policy documents of files and folders, as they are named on a command line.

Invariants: what is handed out has the form of its kind and its place in a file, and each policy stands there once; of a
folder the files with the endings of `ENDINGS` count, in the order of their names, and no folder inside of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from conformance.model.errors import UsageError
from conformance.policy.documents import InvalidPolicies, LocatedDocument, Problem, parse_documents
from conformance.policy.documents.problems import name_of

__all__ = ["ENDINGS", "read_policy_files"]

ENDINGS = frozenset({".yaml", ".yml", ".json"})


def read_policy_files(paths: Iterable[Path]) -> list[LocatedDocument]:
    """All documents of these files and folders.

    Raises:
        UsageError: a file cannot be read, a folder holds none, or there is no document in all of them.
        InvalidPolicies: documents have not the form of policies, or two have one name; every problem of every file.

    """
    found: list[LocatedDocument] = []
    problems: list[Problem] = []
    files = [file for path in paths for file in _files(path)]
    for file in files:
        try:
            found += parse_documents(_text(file), source=str(file))
        except InvalidPolicies as invalid:
            problems += invalid.problems
    if problems := problems + _repeated(found):
        raise InvalidPolicies(problems)
    if not found:
        raise UsageError(
            "there is no policy", where=", ".join(map(str, files)), next_step="write at least one document into it"
        )
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS and file.is_file())
    except OSError as problem:
        raise _unreadable(path, problem.strerror or str(problem)) from problem
    if not files:
        raise UsageError(
            f"no file here ends with {', '.join(sorted(ENDINGS))}", where=str(path), next_step="name another folder"
        )
    return files


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as problem:
        raise _unreadable(file, problem.strerror or str(problem)) from problem
    except UnicodeDecodeError as problem:
        raise _unreadable(file, "it is not UTF-8") from problem


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"policies cannot be read: {why}", where=str(path), next_step="name a file of YAML or JSON, or a folder of them"
    )


def _repeated(documents: Sequence[LocatedDocument]) -> list[Problem]:
    first = {each.key: each for each in reversed(documents)}
    return [
        Problem(
            name_of(each.key),
            "/name",
            f"this policy stands already at {first[each.key].where()}",
            "give one of them another name, or keep only one",
            where=each.where("/name"),
        )
        for each in documents
        if each is not first[each.key]
    ]
