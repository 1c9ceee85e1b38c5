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

    It cuts the fragment and each segment's parameters (`;...`), decodes percent-encoding once, takes backslashes for
    slashes, merges slashes and resolves dot segments (RFC 3986 sections 2.4, 3.3, 5.2.4 and 6.2.2).
    """
    without_fragment = path.partition("#")[0]
    without_parameters = "/".join(segment.partition(";")[0] for segment in without_fragment.split("/"))
    decoded = unquote(without_parameters, encoding="latin-1").replace("\\", "/")
    segments: list[str] = []
    for segment in decoded.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in {"", "."}:
            segments.append(segment)
    folder = "/" if segments and decoded.rpartition("/")[2] in {"", ".", ".."} else ""
    return "/" + "/".join(segments) + folder
