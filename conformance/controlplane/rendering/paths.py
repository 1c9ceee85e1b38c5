"""Paths as patterns, for filters and rules that know no path but the whole `:path` header, or no templates.

Invariant: a prefix ends at a segment's border, and an expression of a template never spans segments.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from conformance.model.policies import MemberId
from conformance.model.policy import PathMatch, PathMatchKind, Route

__all__ = ["header_pattern", "may_coincide", "route_match", "template_pattern", "words", "xroad_id", "xroad_path"]

EXPRESSION = re.compile(r"(\{[^{}]*\})")
SEGMENT = "[^/]+"
PATH_CHARACTERS = "/!$&'()*+,;=:@~%-._"
"""What stands unquoted in a path (RFC 3986, section 3.3), and the percent sign of what is quoted already."""


def header_pattern(below: str, match: PathMatch) -> str:
    """A pattern (RE2) of all `:path` headers that mean this path of the service at `below`, whatever their query."""
    path = below + match.path
    if match.kind is PathMatchKind.EXACT:
        return re.escape(path) + r"(\?.*)?"
    return re.escape(path.rstrip("/")) + r"([/?].*)?"


def template_pattern(below: str, template: str) -> str:
    """A pattern (RE2) of all paths, without query, that fit a path template (OpenAPI 3.1, "Path Templating")."""
    parts = EXPRESSION.split(template)
    literals = [re.escape(quote(part, safe=PATH_CHARACTERS)) for part in parts[::2]]
    return re.escape(below) + SEGMENT.join(literals)


def may_coincide(one: str, other: str) -> bool:
    """Whether some path fits both templates."""
    pairs = list(zip(one.split("/"), other.split("/"), strict=False))
    same_length = one.count("/") == other.count("/")
    return same_length and all(mine == theirs or "{" in mine + theirs for mine, theirs in pairs)


def route_match(below: str, route: Route) -> dict[str, object]:
    """What a call must be like to take this route (Envoy: `route.v3.RouteMatch`)."""
    path = below + route.match.path
    if route.match.kind is PathMatchKind.EXACT:
        match: dict[str, object] = {"path": path}
    elif path.endswith("/"):
        match = {"prefix": path}
    else:
        match = {"path_separated_prefix": path}
    methods = "|".join(route.methods)
    headers = [
        *([{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}] if methods else ()),
        *({"name": header.name, "string_match": {"exact": header.value}} for header in route.headers),
    ]
    return match | ({"headers": headers} if headers else {})


def words(below: str, match: PathMatch | None) -> str:
    """A path in words for people: `/births/v1/*` is everything below `/births/v1`."""
    if match is None:
        return f"{below}/*"
    path = below + match.path
    return path if match.kind is PathMatchKind.EXACT else path.rstrip("/") + "/*"


def xroad_id(member: MemberId) -> str:
    """How a member writes its identifier in the client header; parts are percent-encoded.

    (X-Road: Message Protocol for REST, section 4.)
    """
    parts = (member.instance, member.member_class, member.member_code, member.subsystem)
    return "/".join(quote(part, safe="") for part in parts if part)


def xroad_path(provider: MemberId, code: str) -> str:
    """Where a service is found by its X-Road address, `/r1/{instance}/{class}/{member}[/{subsystem}]/{serviceCode}`.

    (X-Road: Message Protocol for REST, section 4.)
    """
    return f"/r1/{xroad_id(provider)}/{quote(code, safe='')}"
