"""Reading the files of a contract: bounded in size, and nothing but regular text files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from conformance.model.errors import UsageError
from conformance.model.yaml_source import YamlDocument, parse_yaml

__all__ = ["SourceFile", "read_source"]

LARGEST_FILE = 8 * 1024 * 1024


@dataclass(frozen=True)
class SourceFile:
    """One file of a contract: `name` as messages show it, `path` with every link resolved."""

    name: str
    path: Path
    sha256: str
    document: YamlDocument
    content: bytes = field(repr=False)


def read_source(path: Path, name: str) -> SourceFile:
    """Read one YAML or JSON file.

    Raises:
        UsageError: there is no such file, or it is no regular file, too large, not text, or not YAML.

    """
    try:
        resolved = path.resolve()
        # A device or a pipe would be read for ever.
        if not resolved.is_file():
            raise UsageError(
                "there is no such file" if not resolved.exists() else "this is not a regular file",
                where=name,
                next_step="name the file of an OpenAPI document",
            )
        with resolved.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, RuntimeError, ValueError) as problem:
        raise UsageError(
            f"the file cannot be read: {getattr(problem, 'strerror', None) or problem}",
            where=name,
            next_step="check the name and the permissions",
        ) from problem
    if len(content) > LARGEST_FILE:
        raise UsageError(
            f"the file is larger than {LARGEST_FILE:,} bytes",
            where=name,
            next_step="name the file of an OpenAPI document; split it if it really is so large",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UsageError(
            f"the file is not text in UTF-8 (byte {problem.start})",
            where=name,
            next_step="name the file of an OpenAPI document in YAML or JSON, encoded as UTF-8",
        ) from problem
    document = parse_yaml(text, source=name, lenient=True)
    return SourceFile(name, resolved, hashlib.sha256(content).hexdigest(), document, content)
