"""How a path that arrived may be read by an application: as it stands, or as lenient servers take it.

A rule is kept only if every reading stays within it: the security server cannot know which server stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from conformance.probe import PathMatch, PathMatchKind

__all__ = ["covers", "lenient", "within"]


def within(target: str, matches: Iterable[PathMatch]) -> bool:
    """Whether one of `matches` covers the path of `target`, however it is read."""
    path = target.partition("?")[0]
    return any(covers(match, path) and covers(match, lenient(path)) for match in matches)


def covers(match: PathMatch, path: str) -> bool:
    """What the rule says, letter by letter: a prefix ends where a segment ends."""
    return path == match.path or (
        match.kind is PathMatchKind.PREFIX and path.startswith(match.path.removesuffix("/") + "/")
    )


def lenient(path: str) -> str:
    """The path that a lenient server finds behind it.

    It decodes percent-encoding once, cuts a fragment, takes backslashes for slashes, drops each segment's parameters
    (`;...`), merges slashes and resolves dot segments (RFC 3986 sections 3.3, 5.2.4 and 6.2.2).
    """
    decoded = unquote(path.partition("#")[0], encoding="latin-1").replace("\\", "/")
    segments: list[str] = []
    for segment in (each.partition(";")[0] for each in decoded.split("/")):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in {"", "."}:
            segments.append(segment)
    last = decoded.rpartition("/")[2].partition(";")[0]
    folder = "/" if segments and last in {"", ".", ".."} else ""
    return "/" + "/".join(segments) + folder
