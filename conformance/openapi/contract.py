"""A building block's contract: its OpenAPI document, read as far as it can be read.

Invariants: nothing is ever fetched, and no file outside the contract's folder is read; what loads is tested, also where
the document is not valid: validity is a judgement of its own (`Contract.problems`), made when somebody asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.model.errors import UsageError
from conformance.openapi.bundle import Bundle, ContractProblem
from conformance.openapi.operations import Operation, read_operations
from conformance.openapi.source_files import SourceFile, read_source

__all__ = ["Contract", "ContractFile", "ContractProblem", "Operation", "load_contract"]

SWAGGER_2_KEYS = (
    *("swagger", "host", "basePath", "schemes", "consumes", "produces"),
    *("definitions", "parameters", "responses", "securityDefinitions"),
)


@dataclass(frozen=True)
class ContractFile:
    """A file that was read for a contract, its bytes and their digest. Its path is below the contract's folder."""

    path: str
    sha256: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Contract:
    """An OpenAPI document of version 3.0 or 3.1, with what it refers to.

    `document` is the bundle: self-contained, every `$ref` of it leads to a place inside. Treat it as immutable.
    `files` names what was read, the document itself first; `title`, `version` and `openapi_version` may be empty.
    """

    path: Path
    document: dict[str, Any]
    files: tuple[ContractFile, ...]
    operations: tuple[Operation, ...]
    _bundle: Bundle

    @property
    def sha256(self) -> str:
        """The digest of the document's own bytes."""
        return self.files[0].sha256

    @property
    def title(self) -> str:
        """`info.title`."""
        return self._info("title")

    @property
    def version(self) -> str:
        """`info.version`: that of the interface."""
        return self._info("version")

    @property
    def openapi_version(self) -> str:
        """The version of OpenAPI that the document says it is written in."""
        return str(self.document["openapi"])

    @property
    def base_path(self) -> str:
        """The path of the first server, `/api/v1`, or nothing: what stands before the paths of all operations."""
        servers = self.document.get("servers")
        server = servers[0] if isinstance(servers, list) and servers else None
        if not isinstance(server, dict) or not isinstance(server.get("url"), str):
            return ""
        variables = server.get("variables")

        def default(match: re.Match[str]) -> str:
            variable = variables.get(match[1]) if isinstance(variables, dict) else None
            return str(variable.get("default", match[0])) if isinstance(variable, dict) else match[0]

        try:
            return urlsplit(re.sub(r"\{([^{}]*)\}", default, server["url"])).path.rstrip("/")
        except ValueError:
            return ""

    @cached_property
    def problems(self) -> tuple[ContractProblem, ...]:
        """Everything wrong with the document: what this suite finds, and what a validator of OpenAPI finds."""
        from conformance.openapi.validity import findings  # noqa: PLC0415 -- the validator takes long to import

        found = [*self._bundle.problems, *self._own_findings()]
        found += [
            ContractProblem(message, self._bundle.where(path), severity)
            for path, message, severity in findings(self.document, self.openapi_version)
        ]
        return tuple(dict.fromkeys(found))

    @property
    def is_valid(self) -> bool:
        """Whether no problem is an error."""
        return all(problem.severity != "error" for problem in self.problems)

    def operation(self, key: str) -> Operation | None:
        """The operation with a key such as `GET /births/{id}`."""
        return next((operation for operation in self.operations if operation.key == key), None)

    def _own_findings(self) -> Iterator[ContractProblem]:
        for file in self._bundle.files:
            for remark in file.document.remarks:
                yield ContractProblem(remark.message, f"{file.name}:{remark.position}", "error")
        for key in SWAGGER_2_KEYS:
            if key in self.document:
                where = self._bundle.where((key,))
                yield ContractProblem(f"`{key}` is a key of Swagger 2; OpenAPI 3 has none of that name", where, "error")
        if not self.document.get("servers"):
            yield ContractProblem(
                "no `servers`: the document does not say where it is served", self._bundle.where(()), "warning"
            )
        if not self.operations:
            yield ContractProblem("no operation can be read from `paths`", self._bundle.where(("paths",)), "error")
        for operation in self.operations:
            if operation.obstacle:
                yield ContractProblem(f"{operation.key}: {operation.obstacle}", operation.location, "error")

    def _info(self, key: str) -> str:
        info = self.document.get("info")
        value = info.get(key) if isinstance(info, dict) else None
        return "" if value is None else str(value)


def load_contract(path: Path) -> Contract:
    """Read a contract and the files beside it that it refers to.

    Raises:
        UsageError: there is no such file, it is not text, not YAML, or not OpenAPI 3.0 or 3.1.

    """
    root = read_source(path, str(path))
    _check_is_openapi(root)
    bundle = Bundle(root)
    return Contract(
        path=path,
        document=bundle.document,
        files=tuple(ContractFile(file.name, file.sha256, file.content) for file in bundle.files),
        operations=tuple(read_operations(bundle)),
        _bundle=bundle,
    )


def _check_is_openapi(root: SourceFile) -> None:
    value = root.document.value
    if not isinstance(value, dict):
        raise UsageError(
            "this is not an OpenAPI document: it is no mapping",
            where=root.document.where(),
            next_step="name the file of an OpenAPI document, version 3.0 or 3.1",
        )
    if "openapi" not in value:
        raise UsageError(
            f"this is a document of Swagger {value['swagger']}, not of OpenAPI 3"
            if "swagger" in value
            else "this is not an OpenAPI document: the key `openapi` is missing",
            where=root.document.where(("swagger",)),
            next_step="convert it to OpenAPI 3.0 or 3.1"
            if "swagger" in value
            else "name the file of an OpenAPI document",
        )
    if not re.fullmatch(r"3\.[01](\..*)?", str(value["openapi"])):
        raise UsageError(
            f"OpenAPI {value['openapi']} is not supported",
            where=root.document.where(("openapi",)),
            next_step="write the contract in OpenAPI 3.0 or 3.1",
        )
