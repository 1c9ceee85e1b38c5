"""Faults of authorization."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from conformance.controlplane.resources import ResourceType
from conformance.faults.areas.common import undecided
from conformance.faults.seeding import Caught, patch, seed
from conformance.mesh import WITNESS, Modifier, Resources
from conformance.model.policy import AccessRule, ServicePolicy

TYPE = "type.googleapis.com/envoy.extensions.filters.http"
RBAC = "envoy.filters.http.rbac"
RATE_LIMIT = "envoy.filters.http.local_ratelimit"
HTTP = "/filter_chains/0/filters/0/typed_config"


class RulesRewritten(Modifier, ABC):
    """Changes the rules of the witness before they are made into a configuration."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Only those of the witness."""
        if policy.service != WITNESS:
            return policy
        return replace(policy, access=self.rewritten(policy.access))

    @abstractmethod
    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """The rules instead."""


class RoutesRewritten(Modifier, ABC):
    """Changes how the witness's rules stand in the inbound routes."""

    def resources(self, server: str, resources: Resources) -> Resources:
        """The witness's routes, one after the other, on a copy."""
        # Routes of one service share its rules; a deep copy would, too, and they would be rewritten more than once.
        routes = json.loads(json.dumps(resources.get(ResourceType.ROUTE, {})))
        for host in routes.get(f"inbound/{WITNESS}", {}).get("virtual_hosts", ()):
            for route in host["routes"]:
                self.rewrite(route["typed_per_filter_config"][RBAC]["rbac"])
        return {**resources, ResourceType.ROUTE: routes}

    @abstractmethod
    def rewrite(self, rbac: dict[str, Any]) -> None:
        """Change the rules of one route in place."""


def url_paths(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- any part of a resource
    """All comparisons of paths within a part of a resource."""
    if isinstance(part, dict):
        if "url_path" in part:
            yield part["url_path"]["path"]
        for each in part.values():
            yield from url_paths(each)
    elif isinstance(part, list):
        for each in part:
            yield from url_paths(each)


# ---------------------------------------------------------------------- rules that let through more

DENIALS_WITHOUT_EFFECT: dict[str, str | Caught] = {
    "POLICY-001": "still-let-through",
    "POLICY-002": undecided("not-refused-before"),
    "POLICY-003": "still-let-through",
    "POLICY-006": "denied-not-refused",
    "POLICY-009": undecided("callers-unlike-policy"),
    "POLICY-011": undecided("policies-alike"),
    "POLICY-015": "not-enforced",
}


class OnlyTriedOut(RoutesRewritten):
    """What is tried out is counted, never enforced (Envoy documentation: "Role Based Access Control", shadow rules)."""

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """All of them."""
        rbac["shadow_rules"] = rbac.pop("rules")


seed(
    "authz-rules-only-tried-out",
    defect="The rules are still being tried out: what they would refuse is counted and let through.",
    modifier=OnlyTriedOut(),
    caught_by={
        "AUTHZ-004": "other-method-let-through",
        "AUTHZ-005": "header-believed",
        "AUTHZ-015": "reason-missing",
        "AUTHZ-001": "call-forwarded",
        "AUTHZ-002": "other-caller-let-through",
        "AUTHZ-003": "rule-widened",
        "POLICY-008": undecided("caller-unlike-policy"),
        **DENIALS_WITHOUT_EFFECT,
    },
)


class AnyCaller(RoutesRewritten):
    """Every rule holds for everybody."""

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """The principals of each rule."""
        for rule in rbac["rules"]["policies"].values():
            rule["principals"] = [{"any": True}]


seed(
    "authz-caller-not-compared",
    defect="Rules compare methods and paths, but not the caller.",
    modifier=AnyCaller(),
    caught_by={
        "AUTHZ-005": "header-believed",
        "AUTHZ-015": "reason-missing",
        "AUTHZ-001": "call-forwarded",
        "AUTHZ-002": "other-caller-let-through",
        **DENIALS_WITHOUT_EFFECT,
    },
)


class AnyMethod(RulesRewritten):
    """Every rule holds for all methods."""

    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """Without methods."""
        return tuple(replace(rule, methods=()) for rule in rules)


seed(
    "authz-method-not-compared",
    defect="Rules compare callers and paths, but not the method.",
    modifier=AnyMethod(),
    caught_by={
        "AUTHZ-005": "header-believed",
        "AUTHZ-002": "other-method-let-through",
        "POLICY-009": "denied-not-refused",
    },
)


class AnyPath(RulesRewritten):
    """Every rule holds for all paths."""

    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """Without paths."""
        return tuple(replace(rule, paths=()) for rule in rules)


seed(
    "authz-path-not-compared",
    defect="Rules compare callers and methods, but not the path.",
    modifier=AnyPath(),
    caught_by={
        "AUTHZ-005": "header-believed",
        "AUTHZ-002": "other-path-let-through",
        "AUTHZ-003": "rule-widened",
        "POLICY-008": undecided("caller-unlike-policy"),
        "POLICY-009": "denied-not-refused",
    },
)


class PrefixOfLetters(RoutesRewritten):
    """A prefix does not end where a segment ends."""

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """Each prefix without its last slash."""
        for path in url_paths(rbac):
            if "prefix" in path:
                path["prefix"] = path["prefix"].rstrip("/")


seed(
    "authz-prefix-by-letters",
    defect="A rule for /v1/public lets /v1/publications through, because it compares letters.",
    modifier=PrefixOfLetters(),
    caught_by={"AUTHZ-002": "other-path-let-through", "AUTHZ-003": "rule-widened"},
)


class AnyCase(RoutesRewritten):
    """Upper and lower case are the same."""

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """Each comparison of paths."""
        for path in url_paths(rbac):
            if "safe_regex" not in path:
                path["ignore_case"] = True


seed(
    "authz-case-ignored",
    defect="Rules take upper-case letters for lower-case ones, although paths do not.",
    modifier=AnyCase(),
    caught_by={"AUTHZ-003": "rule-widened"},
)

seed(
    "authz-paths-as-written",
    defect="Rules compare paths as callers wrote them, with dot segments and empty segments.",
    overlays=[
        patch(
            "listener",
            "inbound",
            {"op": "replace", "path": f"{HTTP}/normalize_path", "value": False},
            {"op": "replace", "path": f"{HTTP}/merge_slashes", "value": False},
        )
    ],
    caught_by={"AUTHZ-003": "rule-widened"},
)

ESCAPED_SLASHES = f"{HTTP}/path_with_escaped_slashes_action"

seed(
    "authz-escaped-slashes-kept",
    defect="Escaped slashes pass unnoticed, and the application may unescape them.",
    overlays=[patch("listener", "inbound", {"op": "replace", "path": ESCAPED_SLASHES, "value": "KEEP_UNCHANGED"})],
    caught_by={"AUTHZ-003": "rule-widened"},
)

# ---------------------------------------------------------------------- refusals that are none, or not the right ones


class OnlyFirstRule(RulesRewritten):
    """All rules but one get lost."""

    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """The first one."""
        return rules[:1]


seed(
    "authz-only-first-rule",
    defect="Of several rules only the first one arrives.",
    modifier=OnlyFirstRule(),
    caught_by={
        "AUTHZ-002": "allowed-call-refused",
        "POLICY-001": undecided("callers-refused"),
        "POLICY-009": "allowed-not-served",
        "POLICY-013": "not-followed",
    },
)

seed(
    "authz-refusal-disguised",
    defect="Whoever is refused is told that there is nothing.",
    overlays=[
        patch(
            "listener",
            "inbound",
            {
                "op": "add",
                "path": f"{HTTP}/local_reply_config",
                "value": {
                    "mappers": [
                        {
                            "filter": {
                                "status_code_filter": {
                                    "comparison": {
                                        "op": "EQ",
                                        "value": {"default_value": 403, "runtime_key": "meshmark.disguised"},
                                    }
                                }
                            },
                            "status_code": 404,
                        }
                    ]
                },
            },
        )
    ],
    caught_by={
        "AUTHZ-004": "wrong-reason",
        "AUTHZ-005": "wrong-reason",
        "AUTHZ-009": "wrong-status",
        "AUTHZ-010": "wrong-status",
        "AUTHZ-015": undecided("known-caller-refused"),
        "AUTHZ-001": "wrong-status",
        "AUTHZ-002": "wrong-reason",
        "AUTHZ-003": "wrong-refusal",
        "POLICY-001": "wrong-refusal",
        "POLICY-002": undecided("not-refused-before"),
        "POLICY-003": "wrong-refusal",
        "POLICY-006": "denied-not-refused",
        "POLICY-008": undecided("caller-unlike-policy"),
        "POLICY-009": undecided("callers-unlike-policy"),
        "POLICY-012": "wrong-refusal",
        "POLICY-015": "not-enforced",
    },
)

seed(
    "authz-refused-caller-unnamed",
    defect="The access log does not say who was refused.",
    overlays=[
        patch(
            "listener",
            "inbound",
            {"op": "remove", "path": f"{HTTP}/access_log/0/typed_config/log_format/json_format/caller"},
        )
    ],
    caught_by={
        "AUTHZ-004": "wrong-reason",
        "AUTHZ-005": "wrong-reason",
        "AUTHZ-011": "own-identity-not-proved",
        "AUTHZ-015": "caller-or-operation-missing",
        "AUTHZ-001": "wrong-reason",
        "AUTHZ-002": "wrong-reason",
        "AUTHZ-003": "wrong-refusal",
    },
)

seed(
    "authz-escaped-slashes-redirected",
    defect="Who escapes a slash is sent where the slash would have led.",
    overlays=[
        patch("listener", "inbound", {"op": "replace", "path": ESCAPED_SLASHES, "value": "UNESCAPE_AND_REDIRECT"})
    ],
    caught_by={"AUTHZ-003": "wrong-refusal"},
)

# ---------------------------------------------------------------------- nothing can be learned


class CallsRunOut(Modifier):
    """Two paths of the witness may be called twice, by whomsoever, and then no more."""

    PATHS = ("/unruled", "/v1/public/list")

    def resources(self, server: str, resources: Resources) -> Resources:
        """A route of its own for each of these paths, with a limit that never refills."""
        resources = copy.deepcopy(resources)
        http = resources[ResourceType.LISTENER]["inbound"]["filter_chains"][0]["filters"][0]["typed_config"]
        limit = {"@type": f"{TYPE}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "calls_run_out"}
        if all(each["name"] != RATE_LIMIT for each in http["http_filters"]):
            http["http_filters"].insert(0, {"name": RATE_LIMIT, "typed_config": limit})
        always = {"default_value": {"numerator": 100}}
        twice = limit | {
            "token_bucket": {"max_tokens": 2, "fill_interval": "3600s"},
            "filter_enabled": always,
            "filter_enforced": always,
        }
        for host in resources.get(ResourceType.ROUTE, {}).get(f"inbound/{WITNESS}", {}).get("virtual_hosts", ()):
            whole = [route for route in host["routes"] if route["match"] == {"prefix": f"/{WITNESS}/"}]
            host["routes"][:0] = [self._limited(route, path, twice) for route in whole for path in self.PATHS]
        return resources

    @staticmethod
    def _limited(route: dict[str, Any], path: str, limit: dict[str, Any]) -> dict[str, Any]:
        limited = copy.deepcopy(route)
        limited["match"] = {"path": f"/{WITNESS}{path}"}
        limited["route"]["prefix_rewrite"] = path
        limited["typed_per_filter_config"][RATE_LIMIT] = limit
        return limited


seed(
    "authz-calls-run-out",
    defect="Refused calls use up what others may still call.",
    modifier=CallsRunOut(),
    caught_by={
        "AUTHZ-001": undecided("known-caller-refused-afterwards"),
        "AUTHZ-003": undecided("allowed-path-refused-afterwards"),
    },
)
