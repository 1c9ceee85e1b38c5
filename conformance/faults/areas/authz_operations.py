"""Faults of authorization by operations of a contract, and of headers that callers write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.faults.areas.authz import HTTP, TYPE, RoutesRewritten, RulesRewritten, url_paths
from conformance.faults.seeding import patch, seed
from conformance.mesh import Modifier
from conformance.model.policy import AccessRule, Operation, ServicePolicy

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
FILTERS = f"{HTTP}/http_filters"

# ---------------------------------------------------------------------- operations


class OperationsByPath(RulesRewritten):
    """An operation is its path, by whatever method."""

    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """Each operation under every method."""
        return tuple(
            replace(
                rule, operations=tuple(Operation(method, each.path) for each in rule.operations for method in METHODS)
            )
            for rule in rules
        )


seed(
    "authz-operation-by-path-only",
    defect="Of an operation only the path template is compared.",
    modifier=OperationsByPath(),
    caught_by={"AUTHZ-004": "other-method-let-through"},
)


class ContractForgotten(Modifier):
    """Rules are made without a look at the other operations of the contract."""

    def policy(self, policy: ServicePolicy) -> ServicePolicy:
        """Without its contract."""
        return replace(policy, contract=())


seed(
    "authz-template-takes-siblings",
    defect="A path template opens an operation without expressions that happens to fit it.",
    modifier=ContractForgotten(),
    caught_by={"AUTHZ-004": "sibling-let-through"},
)


class ExpressionsTakeSlashes(RoutesRewritten):
    """An expression in braces stands for anything, slashes too."""

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """Each pattern made from a template."""
        for path in url_paths(rbac):
            if "safe_regex" in path:
                path["safe_regex"]["regex"] = path["safe_regex"]["regex"].replace("[^/]+", ".+")


seed(
    "authz-expression-spans-segments",
    defect="An expression of a path template stands for several segments.",
    modifier=ExpressionsTakeSlashes(),
    caught_by={"AUTHZ-004": "deeper-path-let-through"},
)


class OneOperationEach(RulesRewritten):
    """A rule has room for one operation."""

    def rewritten(self, rules: tuple[AccessRule, ...]) -> tuple[AccessRule, ...]:
        """The first one."""
        return tuple(replace(rule, operations=rule.operations[:1]) for rule in rules)


seed(
    "authz-only-first-operation",
    defect="Of several operations in one rule only the first one arrives.",
    modifier=OneOperationEach(),
    caught_by={"AUTHZ-004": "named-operation-refused"},
)

# ---------------------------------------------------------------------- headers that are believed


def believing(header: str, pseudo: str) -> dict[str, Any]:
    """A filter before all others that takes a header's value for the method or the path."""
    script = f"""
        function envoy_on_request(handle)
          local told = handle:headers():get("{header}")
          if told then handle:headers():replace("{pseudo}", told) end
        end"""
    config = {"@type": f"{TYPE}.lua.v3.Lua", "default_source_code": {"inline_string": script}}
    return {"op": "add", "path": f"{FILTERS}/0", "value": {"name": "envoy.filters.http.lua", "typed_config": config}}


seed(
    "authz-method-override-believed",
    defect="X-HTTP-Method-Override says by which method a call is made.",
    overlays=[patch("listener", "inbound", believing("x-http-method-override", ":method"))],
    caught_by={"AUTHZ-005": "header-believed"},
)

seed(
    "authz-original-url-believed",
    defect="X-Original-URL says to which path a call goes.",
    overlays=[patch("listener", "inbound", believing("x-original-url", ":path"))],
    caught_by={"AUTHZ-005": "header-believed"},
)

FORWARDED = {"op": "replace", "path": f"{HTTP}/forward_client_cert_details", "value": "APPEND_FORWARD"}


class CertificateHeaderCompared(RoutesRewritten):
    """Rules look for the caller in the header that tells of certificates."""

    def resources(self, server: str, resources: dict[Any, Any]) -> dict[Any, Any]:
        """What the caller has written into it stays, too."""
        return super().resources(server, KEPT.resources(server, resources))

    def rewrite(self, rbac: dict[str, Any]) -> None:
        """The principals of each rule."""
        for rule in rbac["rules"]["policies"].values():
            rule["principals"] = [self._by_header(principal) for principal in rule["principals"]]

    @staticmethod
    def _by_header(principal: dict[str, Any]) -> dict[str, Any]:
        if "authenticated" not in principal:
            return principal
        caller = principal["authenticated"]["principal_name"]["exact"]
        return {"header": {"name": "x-forwarded-client-cert", "string_match": {"contains": f"URI={caller}"}}}


KEPT_HEADER = seed(
    "authz-certificate-header-kept",
    defect="The security server passes on the certificate header that a caller writes itself.",
    overlays=[patch("listener", "inbound", FORWARDED)],
    caught_by={"AUTHZ-006": "forgery-forwarded"},
)
KEPT = KEPT_HEADER.modifier

seed(
    "authz-certificate-header-compared",
    defect="Rules compare the certificate header, to which callers may add.",
    modifier=CertificateHeaderCompared(),
    caught_by={"AUTHZ-005": "header-believed", "AUTHZ-006": "forgery-forwarded"},
)

seed(
    "authz-certificate-header-dropped",
    defect="The security server takes the certificate header away and writes none of its own.",
    overlays=[
        patch(
            "listener", "inbound", {"op": "replace", "path": f"{HTTP}/forward_client_cert_details", "value": "SANITIZE"}
        )
    ],
    caught_by={"AUTHZ-006": "identity-not-told"},
)
