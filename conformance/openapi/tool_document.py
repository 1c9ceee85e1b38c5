"""The contract as tools get it (schemathesis, openapi-core): self-contained, served at one address, nothing to fetch.

Where the contract's rule is not known because a reference is not resolved, tools get "anything goes": they must not
report a breach of a rule that nobody has read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

from conformance.openapi.bundle import UNRESOLVED, follow, unresolved_below

__all__ = ["NOTHING_IS_FETCHED", "tool_document", "without_unresolved_parameters"]


def _refuse(address: str) -> NoReturn:
    raise ValueError(f"nothing is fetched: {address}")


# The bundle leads nowhere outside; should it ever, the libraries' resolvers stop here instead of opening a connection.
NOTHING_IS_FETCHED = dict.fromkeys(("", "file", "ftp", "http", "https"), _refuse)


def tool_document(
    document: dict[str, Any], *, base_url: str, without: Collection[tuple[str, str]] = ()
) -> dict[str, Any]:
    """A copy of a contract's bundle that tools can work with.

    Args:
        document: the bundle; it stays as it is.
        base_url: where the paths of the operations begin; it takes the place of every server in the document.
        without: operations to leave out, as pairs of method and path.

    """
    result: dict[str, Any] = without_unresolved_parameters(document)
    if unresolved_below(result, result):
        result = _with_known_schemas(result, result)
    result["servers"] = [{"url": base_url}]
    paths = result.get("paths")
    for path, reference in paths.items() if isinstance(paths, dict) else ():
        item = follow(result, reference)
        if not isinstance(item, dict):
            continue
        item.pop("servers", None)
        for method in list(item):
            if (method.upper(), path) in without:
                del item[method]
            elif isinstance(item[method], dict):
                item[method].pop("servers", None)
    return result


def without_unresolved_parameters(document: dict[str, Any]) -> dict[str, Any]:
    """A copy that lacks the parameters which are unresolved references: nothing can stand in for a parameter."""

    def known(node: Any) -> bool:  # noqa: ANN401 -- any value of YAML
        target = follow(document, node)
        return not (isinstance(target, dict) and UNRESOLVED in target)

    def copied(node: Any) -> Any:  # noqa: ANN401 -- any value of YAML
        if isinstance(node, list):
            return [copied(item) for item in node]
        if not isinstance(node, dict):
            return node
        result: dict[str, Any] = {}
        for key, value in node.items():
            if key == "parameters" and isinstance(value, list):
                result[key] = [copied(item) for item in value if known(item)]
            elif key == "parameters" and isinstance(value, dict):
                result[key] = {name: copied(item) for name, item in value.items() if known(item)}
            else:
                result[key] = copied(value)
        return result

    return copied(document)  # type: ignore[no-any-return]  # a mapping is copied to a mapping


def _with_known_schemas(document: dict[str, Any], node: Any) -> Any:  # noqa: ANN401 -- any value of YAML
    if isinstance(node, list):
        return [_with_known_schemas(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {} if key == "schema" and unresolved_below(document, value) else _with_known_schemas(document, value)
        for key, value in node.items()
    }
