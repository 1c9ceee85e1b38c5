"""Many files become one self-contained document; what points elsewhere is never fetched.

Invariants of the bundle: every `$ref` in it leads to a place inside it; nothing in it makes a tool open a file or a
connection (no foreign `$ref`, no `$id`, `$schema`, `externalValue` ...); every `pattern` compiles. What had to be left
out is reported, and the node that stood for it carries the key `UNRESOLVED`, so that nobody takes "no rule" for "kept".

References (OpenAPI 3.0.3 and 3.1.0, Reference Object; RFC 3986, RFC 6901) may lead to places of the same file and to
files in or below the contract's folder. Other hosts, absolute paths, `..` and links that lead out of it are refused.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from conformance.model.errors import UsageError
from conformance.openapi.source_files import SourceFile, read_source

__all__ = [
    "FILES",
    "UNREAD_PATTERN",
    "UNRESOLVED",
    "Bundle",
    "ContractProblem",
    "Severity",
    "follow",
    "unresolved_below",
]

Path_: TypeAlias = tuple[str | int, ...]
Mode: TypeAlias = Literal["keywords", "names", "data"]
Severity: TypeAlias = Literal["error", "warning"]

FILES = "x-meshmark-files"
UNRESOLVED = "x-meshmark-unresolved"
UNREAD_PATTERN = "x-meshmark-unread-pattern"
MOST_FILES = 200

# Their values are data, whatever they look like.
DATA = {"const", "default", "enum", "example", "value"}
# Their keys are names that the author chose, not keywords.
NAMES = {
    *("$defs", "callbacks", "content", "definitions", "dependentSchemas", "encoding", "examples", "headers", "links"),
    *("mapping", "parameters", "pathItems", "paths", "patternProperties", "properties", "requestBodies", "responses"),
    *("schemas", "scopes", "securitySchemes", "variables", "webhooks"),
}
# They change what a reference means, or make a tool go and fetch something.
LEFT_OUT = {"$id", "$schema", "$dynamicRef", "$recursiveRef", "externalValue", "jsonSchemaDialect", "operationRef"}
HARMLESS = {"$schema", "$id", "jsonSchemaDialect"}


@dataclass(frozen=True)
class ContractProblem:
    """Something wrong with the contract itself; `location` is `file:line:column`.

    An `error` makes the document invalid or leaves part of it unread; a `warning` only limits what can be judged.
    """

    message: str
    location: str
    severity: Severity


class _Unresolved(Exception):  # noqa: N818 -- it never leaves this module
    """A reference leads nowhere, or to where nothing is fetched."""


class Bundle:
    """The contract in one document (`document`), the files it came from, and what was found wrong on the way."""

    def __init__(self, root: SourceFile) -> None:
        self.files = [root]
        self.problems: list[ContractProblem] = []
        self._folder = root.path.parent
        self._references: list[tuple[dict[str, Any], str]] = []
        self._data: set[tuple[str, ...]] = set()
        self.document: dict[str, Any] = self._copied(root.document.value, 0, (), "keywords")
        others: dict[str, Any] = {}
        for index, file in enumerate(self.files):
            # The list grows while its files are read.
            if index:
                others[str(index)] = self._copied(file.document.value, index, (), "keywords")
        if others:
            self.document[FILES] = others
        self._check_references()

    def where(self, path: Path_) -> str:
        """The place in the sources of a path in the document, as `file:line:column`."""
        if path[:1] == (FILES,) and len(path) > 1:
            return self.files[int(path[1])].document.where(path[2:])
        return self.files[0].document.where(path)

    def _report(self, message: str, index: int, path: Path_, severity: Severity = "error") -> None:
        self.problems.append(ContractProblem(message, self.files[index].document.where(path), severity))

    def _copied(self, node: Any, index: int, path: Path_, mode: Mode) -> Any:  # noqa: ANN401 -- any value of YAML
        if isinstance(node, list):
            inner: Mode = "data" if mode == "data" else "keywords"
            return [self._copied(item, index, (*path, at), inner) for at, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            # Also among names and in data: tools follow it wherever they meet it.
            return self._reference(node, index, path, mode)
        result: dict[str, Any] = {}
        for key, value in node.items():
            at = (*path, key)
            if mode == "keywords":
                self._keyword(result, key, value, index, at)
            else:
                result[key] = self._copied(value, index, at, "keywords" if mode == "names" else "data")
        return result

    def _keyword(self, result: dict[str, Any], key: str, value: Any, index: int, path: Path_) -> None:  # noqa: ANN401
        if key in LEFT_OUT and isinstance(value, str):
            if key not in HARMLESS:
                self._report(f"`{key}: {value}` is not followed: nothing is fetched", index, path, "warning")
        elif key == "pattern" and isinstance(value, str) and not _compiles(value):
            self._report(f"the pattern `{value}` is not judged: Python cannot read it", index, path, "warning")
            result[UNREAD_PATTERN] = value
        elif key == "mapping" and isinstance(value, dict):
            result[key] = self._mapping(value, index, path)
        elif key in DATA or (key == "examples" and isinstance(value, list)):
            self._data.add((str(index), *map(str, path)))
            result[key] = self._copied(value, index, path, "data")
        else:
            result[key] = self._copied(value, index, path, "names" if key in NAMES else "keywords")

    def _reference(self, node: dict[str, Any], index: int, path: Path_, mode: Mode) -> dict[str, Any]:
        reference = node["$ref"]
        siblings = {key: value for key, value in node.items() if key != "$ref"}
        result: dict[str, Any] = self._copied(siblings, index, path, mode)
        where = self.files[index].document.where((*path, "$ref"))
        try:
            result["$ref"] = self._target(reference, index)
        except _Unresolved as problem:
            self._leave_open(result, reference, where, problem)
        else:
            self._references.append((result, where))
        return result

    def _leave_open(self, node: dict[str, Any], reference: str, where: str, problem: Exception) -> None:
        message = f"the reference `{reference}` is not resolved: {problem}"
        self.problems.append(ContractProblem(message, where, "error"))
        node.clear()
        node |= {"description": message, UNRESOLVED: reference}

    def _mapping(self, mapping: dict[str, Any], index: int, path: Path_) -> dict[str, Any]:
        """A discriminator maps to names of schemas or to references; a tool may follow the latter."""
        result = {}
        for key, value in mapping.items():
            if isinstance(value, str) and ("/" in value or "." in value):
                try:
                    result[key] = self._target(value, index)
                except _Unresolved as problem:
                    self._report(f"the reference `{value}` is not resolved: {problem}", index, (*path, key))
            else:
                result[key] = value
        return result

    def _target(self, reference: str, index: int) -> str:
        address, _, fragment = reference.partition("#")
        if address:
            index = self._file(address, index)
        pointer = unquote(fragment)
        if pointer and not pointer.startswith("/"):
            raise _Unresolved("only JSON pointers (`#/...`) are followed, no anchors")
        try:
            _at(self.files[index].document.value, pointer)
        except LookupError:
            place = f"`{pointer}` in {self.files[index].path.name}"
            raise _Unresolved(f"there is no {place}") from None
        return f"#/{FILES}/{index}{fragment}" if index else f"#{fragment}"

    def _file(self, address: str, index: int) -> int:
        try:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                raise _Unresolved("it leads to another place than a file beside the contract, and nothing is fetched")
            relative = Path(unquote(parts.path))
            if relative.is_absolute():
                raise _Unresolved("it is an absolute path; files in the contract's folder are read only")
            path = (self.files[index].path.parent / relative).resolve()
        except (ValueError, OSError, RuntimeError) as problem:
            raise _Unresolved(f"it names no file ({problem})") from None
        if not path.is_relative_to(self._folder):
            raise _Unresolved("it leads out of the contract's folder, and nothing is read there")
        for known, file in enumerate(self.files):
            if file.path == path:
                return known
        if len(self.files) >= MOST_FILES:
            raise _Unresolved(f"the contract has more than {MOST_FILES} files")
        name = str(Path(self.files[0].name).parent / path.relative_to(self._folder))
        try:
            self.files.append(read_source(path, name))
        except UsageError as problem:
            raise _Unresolved(f"{problem.where}: {problem.what}") from None
        return len(self.files) - 1

    def _check_references(self) -> None:
        for node, where in self._references:
            reference = node["$ref"]
            try:
                self._check_chain(node)
            except _Unresolved as problem:
                self._leave_open(node, reference, where, problem)

    def _check_chain(self, node: dict[str, Any]) -> None:
        seen: set[str] = set()
        while isinstance(node, dict) and "$ref" in node:
            reference = str(node["$ref"])
            if reference in seen:
                raise _Unresolved("it leads in a circle and never to anything")
            seen.add(reference)
            tokens = _pointer_tokens(unquote(reference[1:]))
            place = tuple(tokens[1:]) if tokens[:1] == [FILES] else ("0", *tokens)
            if any(place[:length] in self._data for length in range(1, len(place) + 1)):
                raise _Unresolved("it leads into an example, which is data and no definition")
            try:
                node = _at(self.document, unquote(reference[1:]))
            except LookupError:
                raise _Unresolved("it leads into another reference") from None


def follow(document: dict[str, Any], node: Any) -> Any:  # noqa: ANN401 -- any value of YAML
    """The node itself, or what its reference leads to in the end."""
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        node = _at(document, unquote(node["$ref"][1:]))
    return node


def unresolved_below(document: dict[str, Any], node: Any) -> str | None:  # noqa: ANN401 -- any value of YAML
    """The first reference in or behind `node` that was not resolved; None if there is none."""
    seen: set[int] = set()
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict) and id(node) not in seen:
            seen.add(id(node))
            if UNRESOLVED in node:
                return str(node[UNRESOLVED])
            pending += [follow(document, node)] if isinstance(node.get("$ref"), str) else node.values()
    return None


def _at(node: Any, pointer: str) -> Any:  # noqa: ANN401 -- any value of YAML
    """What a JSON pointer names; LookupError if nothing."""
    for token in _pointer_tokens(pointer):
        if isinstance(node, list) and token.isdecimal():
            node = node[int(token)]
        elif isinstance(node, dict):
            node = node[token]
        else:
            raise LookupError(token)
    return node


def _pointer_tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _compiles(pattern: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            re.compile(pattern)
        except (re.error, Warning, RecursionError, OverflowError):
            return False
    return True
