"""How a running mesh stands, as plain JSON values: what the live page shows, and nothing that is not in it.

Invariants: what a security server has taken is what it said itself, by the policy store's reports; no secret, no
document and no header of a call stands in it; whatever is listed is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.authn.decision_log import Line
from conformance.mesh.mesh import Mesh
from conformance.model.policies import Kind, PolicyKey
from conformance.model.policy import AccessRule, Endpoint, PathMatch, ServicePolicy
from conformance.model.verdict import moment
from conformance.policy.store import Entry, ProxyReport, Stored

__all__ = ["status_of"]

MOST_DECISIONS = 25
MOST_VERSIONS = 10
SILENT = "silent"
"""Beside the states of a report: nothing has been reported about a security server yet."""


async def status_of(mesh: Mesh, *, name: str, since: str) -> dict[str, Any]:
    """Everything at this moment."""
    governance = mesh.governance
    store = governance.store
    version = await store.version()
    documents, entries = await store.documents(), await store.history(limit=MOST_VERSIONS)
    latest = {report.proxy: report for report in await store.latest_reports()}
    reports = {entry.version: await store.reports(entry.version) for entry in entries}
    policies = governance.configuration
    return {
        "mesh": {
            "name": name,
            "topology": policies.mesh.topology.value,
            "trust_domain": mesh.trust_domain.name,
            "since": since,
            "envoy": mesh.runtime.version,
            "runtime": mesh.runtime.kind,
            "policy_admin": governance.policy_admin.url,
        },
        "versions": {
            "store": version,
            "control_plane": governance.version,
            "authentication_service": governance.authentication.version,
            "history": [_version(entry, reports[entry.version]) for entry in entries],
        },
        "security_servers": [_server(mesh, each, latest.get(each)) for each in mesh.members],
        "services": [
            _service(mesh, policy, documents, policies.members.values()) for policy in policies.services.values()
        ],
        "clients": [
            {
                "name": member.member,
                "identity": member.identity,
                "id": str(member.id) if member.id else None,
                "calls": list(member.calls),
            }
            for member in policies.members.values()
        ],
        "decisions": [_decision(line) for line in reversed(governance.authentication.recent[-MOST_DECISIONS:])],
    }


def _version(entry: Entry, reports: Iterable[ProxyReport]) -> dict[str, Any]:
    return {
        "version": entry.version,
        "at": _utc(entry.at),
        "author": entry.author.identity,
        "note": entry.note,
        "documents": [f"{kind.value}/{name}" for kind, name in entry.changes],
        "security_servers": [_report(report) for report in reports],
    }


def _report(report: ProxyReport) -> dict[str, Any]:
    return {
        "name": report.proxy,
        "state": report.state.value,
        "since": _utc(report.since),
        "reason": report.reason,
        "reason_in_short": report.reason_in_short,
    }


def _server(mesh: Mesh, name: str, report: ProxyReport | None) -> dict[str, Any]:
    member = mesh.members[name]
    status = mesh.control_plane.status(name)
    said = _report(report) if report else {"state": SILENT, "since": None, "reason": "", "reason_in_short": ""}
    return {
        **said,
        "name": name,
        "version": report.version if report else None,
        "identity": member.identity,
        "alive": member.server is not None and member.server.alive,
        "connected_since": moment(status.connected_since) if status.connected_since else None,
        "inbound": _address(member.inbound),
        "outbound": _address(member.outbound),
        "border": _address(member.border),
        "resources": len(mesh.governance.configuration.sent.get(name, {})),
        "pushes": sum(each.responses for each in status.types.values()),
        "bytes": sum(each.bytes for each in status.types.values()),
    }


def _service(
    mesh: Mesh, policy: ServicePolicy, documents: Mapping[PolicyKey, Stored], members: Iterable[Any]
) -> dict[str, Any]:
    stored = documents.get((Kind.SERVICE, policy.service))
    names = {member.identity: member.member for member in members}
    running = mesh.applications.running.get(policy.service)
    ended = running.exited if running else None
    return {
        "name": policy.service,
        "provider": policy.provider,
        "code": policy.code or None,
        "endpoints": [_address(endpoint) for endpoint in policy.endpoints],
        "building_block": None if running is None else "ended" if ended and ended.done() else "running",
        "changed_in": stored.changed_in if stored else None,
        "revision": policy.version,
        "authentication": policy.authentication and mesh.governance.configuration.mesh.authentication,
        "access": [{"caller": names.get(rule.caller, rule.caller), "may": _may(rule)} for rule in policy.access],
    }


def _may(rule: AccessRule) -> list[str]:
    """What a rule lets through, in a few words each; everything if it says nothing."""
    if rule.operations:
        return [f"{operation.method} {operation.path}" for operation in rule.operations]
    methods = ", ".join(rule.methods) or "every method"
    return [f"{methods} of {_path(match)}" for match in rule.paths] or [methods]


def _path(match: PathMatch) -> str:
    return match.path if match.kind.value == "exact" else f"{match.path} and below"


def _decision(line: Line) -> dict[str, Any]:
    return {
        "time": line.time,
        "caller": line.caller,
        "service": line.service,
        "operation": line.operation,
        "direction": line.direction,
        "server": line.server,
        "decision": line.decision,
        "reason": line.reason,
        "version": line.store_version,
        "trace_id": line.trace_id,
    }


def _address(endpoint: Endpoint | None) -> str | None:
    if endpoint is None:
        return None
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _utc(text: str) -> str:
    return text.replace("+00:00", "Z")
