"""Access rules as RBAC, on the routes: so they arrive by RDS and act on connections that are already open.

(Envoy documentation: "Role Based Access Control". Rules that come with a listener would spare open connections.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance.controlplane.rendering.paths import may_coincide, template_pattern, xroad_id
from conformance.controlplane.rendering.view import Resource, Surroundings
from conformance.model.policy import AccessRule, Operation, PathMatch, PathMatchKind, ServicePolicy

__all__ = ["access_rules", "border_rules", "callers_of", "deny_everybody", "xroad_rules"]

RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
RBAC_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"

DOT_SEGMENT_WITH_PARAMETER: Resource = {"url_path": {"path": {"safe_regex": {"regex": r".*/\.{1,2};.*"}}}}
"""`/..;x/` is an ordinary segment for a proxy (RFC 3986 section 3.3) and the parent for some application servers."""


def deny_everybody() -> Resource:
    """The filter's own rules: a call that no route's rules speak about is refused."""
    return {"@type": RBAC, "rules": {"action": "ALLOW", "policies": {}}}


def access_rules(policy: ServicePolicy, below: str, surroundings: Surroundings) -> Resource:
    """One service's rules, for its routes at `below`. No rule means that nobody is let through."""
    return _per_route(
        {
            f"{policy.service}/{number}": _rule(_permission(policy, below, rule), peers)
            for number, rule in enumerate(policy.access)
            # A rule without principals is malformed; where nobody can be named, nobody is let through.
            if (peers := _peers(rule.caller, surroundings))
        }
    )


def xroad_rules(policy: ServicePolicy, below: str, surroundings: Surroundings) -> Resource:
    """The same rules for X-Road addresses. The client header must name the very caller whose certificate was shown.

    A caller without an X-Road identifier cannot name itself, so none of its calls is let through.
    """
    header = surroundings.mesh.client_header
    rules = {}
    for number, rule in enumerate(policy.access):
        if client := surroundings.clients.get(rule.caller):
            named = {"condition": _header_is(header, xroad_id(client))}
            rules[f"r1/{policy.service}/{number}"] = _rule(_permission(policy, below, rule), [rule.caller]) | named
    return _per_route(rules)


def border_rules(policy: ServicePolicy, below: str, surroundings: Surroundings) -> Resource:
    """The rules for callers of other trust domains; those of the mesh do not come in by the border."""
    return _per_route(
        {
            f"border/{policy.service}/{number}": _rule(_permission(policy, below, rule), [rule.caller])
            for number, rule in enumerate(policy.access)
            if rule.caller in surroundings.foreigners
        }
    )


def callers_of(policy: ServicePolicy, surroundings: Surroundings) -> tuple[str, ...]:
    """The SPIFFE ids that the provider's security server will see, each once, in the order of the rules."""
    found = {peer: None for rule in policy.access for peer in _peers(rule.caller, surroundings)}
    return tuple(found)


def _peers(caller: str, surroundings: Surroundings) -> Sequence[str]:
    """Who brings the calls of a caller: its own security server, or the gateways if it is of another trust domain."""
    return surroundings.gateways if caller in surroundings.foreigners else (caller,)


def _header_is(name: str, value: str) -> Resource:
    """`request.headers[name] == value`, where several headers of the name count as one value with commas.

    A header matcher is content if one of several values fits, and the building block may look at another.
    """
    headers = {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "headers"}}
    header = {"call_expr": {"function": "_[_]", "args": [headers, {"const_expr": {"string_value": name.lower()}}]}}
    return {"call_expr": {"function": "_==_", "args": [header, {"const_expr": {"string_value": value}}]}}


def _per_route(rules: Mapping[str, Resource]) -> Resource:
    return {"@type": RBAC_PER_ROUTE, "rbac": {"rules": {"action": "ALLOW", "policies": rules}}}


def _rule(permission: Resource, callers: Sequence[str]) -> Resource:
    principals = [{"authenticated": {"principal_name": {"exact": caller}}} for caller in callers]
    return {"permissions": [permission], "principals": principals}


def _permission(policy: ServicePolicy, below: str, rule: AccessRule) -> Resource:
    parts: list[Resource] = []
    if rule.methods:
        parts.append(_any([_method(method) for method in rule.methods]))
    if rule.paths:
        parts.append(_any([path for match in rule.paths for path in _path(below, match)]))
    if rule.operations:
        parts.append(_any([_operation(policy, below, operation, rule) for operation in rule.operations]))
    return {"and_rules": {"rules": parts}} if parts else {"any": True}


def _any(parts: list[Resource]) -> Resource:
    return {"or_rules": {"rules": parts}}


def _method(method: str) -> Resource:
    return {"header": {"name": ":method", "string_match": {"exact": method}}}


def _path(below: str, match: PathMatch) -> list[Resource]:
    path = below + match.path
    exact = {"url_path": {"path": {"exact": path}}}
    if match.kind is PathMatchKind.EXACT:
        return [exact]
    # A prefix ends at a segment's border, or `/v1/public` would let `/v1/publications` through.
    under = {"url_path": {"path": {"prefix": path.rstrip("/") + "/"}}}
    return [exact, {"and_rules": {"rules": [under, {"not_rule": DOT_SEGMENT_WITH_PARAMETER}]}}]


def _operation(policy: ServicePolicy, below: str, operation: Operation, rule: AccessRule) -> Resource:
    path = _fits(below, operation)
    others = [_fits(below, other) for other in policy.contract if _goes_before(other, operation, rule)]
    excluded = [DOT_SEGMENT_WITH_PARAMETER, *others]
    return {"and_rules": {"rules": [_method(operation.method), path, *({"not_rule": each} for each in excluded)]}}


def _goes_before(other: Operation, operation: Operation, rule: AccessRule) -> bool:
    """Some path that fits the operation is meant for another one, which the rule does not name.

    A path without expressions goes before one with expressions; where a contract leaves it open, nobody is let through
    by one of the two alone (OpenAPI 3.1, "Paths Object").
    """
    if other in rule.operations or other.method != operation.method or "{" not in operation.path:
        return False
    return may_coincide(other.path, operation.path)


def _fits(below: str, operation: Operation) -> Resource:
    return {"url_path": {"path": {"safe_regex": {"regex": template_pattern(below, operation.path)}}}}
