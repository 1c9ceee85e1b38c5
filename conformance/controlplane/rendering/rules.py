"""Access rules as RBAC, on the routes: so they arrive by RDS and act on connections that are already open.

(Envoy documentation: "Role Based Access Control". Rules that come with a listener would spare open connections.)
"""

from __future__ import annotations

from conformance.controlplane.rendering.view import Resource
from conformance.model.policy import AccessRule, PathMatch, PathMatchKind, ServicePolicy

__all__ = ["access_rules", "deny_everybody"]

RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
RBAC_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"

DOT_SEGMENT_WITH_PARAMETER: Resource = {"url_path": {"path": {"safe_regex": {"regex": r".*/\.{1,2};.*"}}}}
"""`/..;x/` is an ordinary segment for a proxy (RFC 3986 section 3.3) and the parent for some application servers."""


def deny_everybody() -> Resource:
    """The filter's own rules: a call that no route's rules speak about is refused."""
    return {"@type": RBAC, "rules": {"action": "ALLOW", "policies": {}}}


def access_rules(policy: ServicePolicy) -> Resource:
    """One service's rules, for its routes. No rule means that nobody is let through."""
    return {
        "@type": RBAC_PER_ROUTE,
        "rbac": {
            "rules": {
                "action": "ALLOW",
                "policies": {
                    f"{policy.service}/{number}": {
                        "permissions": [_permission(policy.service, rule)],
                        "principals": [{"authenticated": {"principal_name": {"exact": rule.caller}}}],
                    }
                    for number, rule in enumerate(policy.access)
                },
            }
        },
    }


def _permission(service: str, rule: AccessRule) -> Resource:
    parts: list[Resource] = []
    if rule.methods:
        parts.append(
            {
                "or_rules": {
                    "rules": [
                        {"header": {"name": ":method", "string_match": {"exact": method}}} for method in rule.methods
                    ]
                }
            }
        )
    if rule.paths:
        parts.append({"or_rules": {"rules": [path for match in rule.paths for path in _path(service, match)]}})
    return {"and_rules": {"rules": parts}} if parts else {"any": True}


def _path(service: str, match: PathMatch) -> list[Resource]:
    path = f"/{service}{match.path}"
    exact = {"url_path": {"path": {"exact": path}}}
    if match.kind is PathMatchKind.EXACT:
        return [exact]
    # A prefix ends at a segment's border, or `/v1/public` would let `/v1/publications` through.
    below = {"url_path": {"path": {"prefix": path.rstrip("/") + "/"}}}
    return [exact, {"and_rules": {"rules": [below, {"not_rule": DOT_SEGMENT_WITH_PARAMETER}]}}]
