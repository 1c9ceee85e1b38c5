"""The page about the rooms is short, and names the rooms that there are, in the order that import-linter keeps."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from .documents import CODE_SPAN, REPOSITORY, document

MODULES = sorted((REPOSITORY / "conformance").rglob("*.py"))


def test_the_page_has_at_most_sixty_lines() -> None:
    assert len(document("ARCHITECTURE.md").text.splitlines()) <= 60


def test_its_rooms_are_the_folders_of_the_package() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "conformance").glob("*/__init__.py")}
    named = [room for row in document("ARCHITECTURE.md").table("Rooms", "line") for room in CODE_SPAN.findall(row[1])]
    assert sorted(named) == sorted(folders)


def test_its_rooms_stand_on_the_lines_that_are_kept() -> None:
    kept = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in kept if contract["type"] == "layers")
    lines = [sorted(CODE_SPAN.findall(row[1])) for row in document("ARCHITECTURE.md").table("Rooms", "line")]
    assert lines == [sorted(line.split(" | ")) for line in layers]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_a_module_has_a_docstring_and_exports_only_what_it_has(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    assert ast.get_docstring(tree)
    bound, exported = _names(tree)
    assert [name for name in exported if name not in bound] == []
    assert len(set(exported)) == len(exported)


def _names(tree: ast.Module) -> tuple[set[str], list[str]]:
    """What a module binds at its top level, and what `__all__` says."""
    bound: set[str] = set()
    exported: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                exported = ast.literal_eval(node.value) if node.value else []
    return bound, exported
