"""Faults of routing: calls that end where they should not, or are not what they were when they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from conformance.checks.route.unknown import UNREGISTERED
from conformance.controlplane.rendering.routes import scope
from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import DISABLED, FILTER, Edited
from conformance.faults.seeding import patch, seed
from conformance.mesh import CALLER, WITNESS, Modifier, Resources
from conformance.model.policy import ServicePolicy

HTTP_FILTERS = "/filter_chains/0/filters/0/typed_config/http_filters"
EXTENSION = "type.googleapis.com/envoy.extensions"

Route = dict[str, Any]


def routes_of(resources: Resources, name: str, service: str = WITNESS) -> Iterator[Route]:
    """The routes of a service on one side, `inbound` or `outbound`, to be changed."""
    configuration = resources.get(ResourceType.ROUTE, {}).get(f"{name}/{service}")
    yield from configuration["virtual_hosts"][0]["routes"] if configuration else ()


def on_inbound(change: Callable[[Route], None]) -> Edited:
    """Changes each route from a security server to the witness."""

    def edit(_: str, resources: Resources) -> None:
        for route in routes_of(resources, "inbound"):
            change(route)

    return Edited(edit)


# ---------------------------------------------------------------------- paths that no route knows


class LeftOver(Modifier):
    """The caller's security server has a route for services that nobody registered, and asks nobody about it."""

    def __init__(self, **action: Any) -> None:  # noqa: ANN401 -- any part of a route
        self._action = action

    def resources(self, server: str, resources: Resources) -> Resources:
        """Scopes and route configurations of their own, which concern nobody else."""
        if server != CALLER:
            return resources
        routes = {}
        for service in UNREGISTERED.values():
            unasked = {"typed_per_filter_config": {FILTER: DISABLED}}
            route = {"name": service, "match": {"prefix": "/"}, **unasked, **self._action}
            host = {"name": service, "domains": ["*"], "routes": [route]}
            routes[f"outbound/{service}"] = {
                "name": f"outbound/{service}",
                "virtual_hosts": [host],
                "validate_clusters": False,
            }
        scopes = {f"outbound/{service}": scope("outbound", service) for service in UNREGISTERED.values()}
        return {
            **resources,
            ResourceType.ROUTE: {**resources.get(ResourceType.ROUTE, {}), **routes},
            ResourceType.SCOPED_ROUTE: {**resources.get(ResourceType.SCOPED_ROUTE, {}), **scopes},
        }


seed(
    "route-left-over",
    defect="A service that was taken away still has a route, which leads to the witness's security server.",
    modifier=LeftOver(route={"cluster": f"peer-{WITNESS}"}),
    caught_by={"ROUTE-001": "request-forwarded"},
)
seed(
    "route-welcome-page",
    defect="A service that was taken away is answered for with a friendly 200.",
    modifier=LeftOver(direct_response={"status": 200, "body": {"inline_string": "Welcome!"}}),
    caught_by={"ROUTE-001": "wrong-status"},
)
seed(
    "route-not-found-page",
    defect="A service that was taken away has a route that answers 404, so in the log it looks like any other answer.",
    modifier=LeftOver(direct_response={"status": 404}),
    caught_by={"ROUTE-001": "wrong-reason"},
)

# ---------------------------------------------------------------------- messages that change on the way


def inbound_filter(name: str, **config: Any) -> list[Any]:  # noqa: ANN401 -- any filter's configuration
    """Overlays: one HTTP filter more before the building blocks."""
    added = {"name": name, "typed_config": config}
    return [patch("listener", "inbound", {"op": "add", "path": f"{HTTP_FILTERS}/0", "value": added})]


seed(
    "route-large-bodies-refused",
    defect="The security server takes no body of more than 32 KiB.",
    overlays=inbound_filter(
        "envoy.filters.http.buffer",
        **{"@type": f"{EXTENSION}.filters.http.buffer.v3.Buffer", "max_request_bytes": 32768},
    ),
    caught_by={"ROUTE-002": "call-lost"},
)


def follow_redirects(server: str, resources: Resources) -> None:
    """On the caller's side."""
    if server == CALLER:
        for route in routes_of(resources, "outbound"):
            route["route"]["internal_redirect_policy"] = {"max_internal_redirects": 1}


seed(
    "route-redirects-followed",
    defect="The caller's security server follows redirects by itself.",
    modifier=Edited(follow_redirects),
    caught_by={"ROUTE-002": "status-changed"},
)
seed(
    "route-query-parameter-removed",
    defect="A query parameter without a value is taken out of the query, which is decoded for that.",
    overlays=inbound_filter(
        "envoy.filters.http.header_mutation",
        **{
            "@type": f"{EXTENSION}.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"query_parameter_mutations": [{"remove": "empty"}]},
        },
    ),
    caught_by={"ROUTE-002": "query-changed"},
)


def remove_authorization(route: Route) -> None:
    """From requests."""
    route["request_headers_to_remove"] = ["authorization"]


seed(
    "route-request-header-removed",
    defect="The security server takes the authorization header away.",
    modifier=on_inbound(remove_authorization),
    caught_by={"ROUTE-002": "message-changed"},
)


def replace_cache_control(route: Route) -> None:
    """In answers."""
    header = {"key": "cache-control", "value": "public, max-age=3600"}
    route["response_headers_to_add"] = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]


seed(
    "route-answer-header-replaced",
    defect="The security server lets everybody cache what the building block says nobody may.",
    modifier=on_inbound(replace_cache_control),
    caught_by={"ROUTE-002": "message-changed"},
)

# ---------------------------------------------------------------------- the wrong route


def keep_prefix(route: Route) -> None:
    """Where a route does nothing but remove it."""
    if route["route"]["prefix_rewrite"] == "/":
        del route["route"]["prefix_rewrite"]


seed(
    "route-service-prefix-kept",
    defect="The building block is shown the path with the service's name.",
    modifier=on_inbound(keep_prefix),
    caught_by={"ROUTE-003": "service-prefix-kept", "AUTHZ-003": "rule-widened"},
)


class OnlyWholeService(Modifier):
    """Special routes are not passed on."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Without routes."""
        return replace(policy, routes=())


seed(
    "route-special-routes-lost",
    defect="The control plane passes on no routes but that of the whole service.",
    modifier=OnlyWholeService(),
    caught_by={"ROUTE-003": "prefix-route-misapplied", "DISCOVERY-004": "share-not-kept"},
)


def match_letters(route: Route) -> None:
    """A prefix that does not end where a segment ends."""
    match = route["match"]
    if "path_separated_prefix" in match:
        match["prefix"] = match.pop("path_separated_prefix")


seed(
    "route-prefix-by-letters",
    defect="A route for /v1 takes calls of /v10, because it compares letters.",
    modifier=on_inbound(match_letters),
    caught_by={"ROUTE-003": "prefix-route-misapplied"},
)


def exact_as_prefix(route: Route) -> None:
    """An exact path that also takes longer ones."""
    match = route["match"]
    if "path" in match:
        match["path_separated_prefix"] = match.pop("path")


seed(
    "route-exact-path-as-prefix",
    defect="An exact route takes calls of longer paths, too.",
    modifier=on_inbound(exact_as_prefix),
    caught_by={"ROUTE-003": "exact-route-misapplied"},
)


def any_method(route: Route) -> None:
    """Without the methods."""
    route["match"].pop("headers", None)


seed(
    "route-methods-ignored",
    defect="A route for some methods takes calls of all.",
    modifier=on_inbound(any_method),
    caught_by={"ROUTE-003": "method-route-misapplied"},
)


def reverse_special_routes(_: str, resources: Resources) -> None:
    """The last route, that of the whole service, stays the last."""
    configuration = resources.get(ResourceType.ROUTE, {}).get(f"inbound/{WITNESS}")
    if configuration:
        *special, whole = routes_of(resources, "inbound")
        configuration["virtual_hosts"][0]["routes"] = [*reversed(special), whole]


seed(
    "route-least-specific-first",
    defect="Routes are tried from the least to the most specific.",
    modifier=Edited(reverse_special_routes),
    caught_by={"ROUTE-003": "less-specific-route-won"},
)
