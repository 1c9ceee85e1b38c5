"""Refusals of the policy admin service, as the errors of this suite: whose fault it is, and what to do next."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from conformance.model.errors import DeadlineExceeded, EnvironmentFault, MeshmarkError, UsageError
from conformance.model.policies import Kind, PolicyKey
from conformance.policy.documents import InvalidPolicies, Problem
from conformance.policy.store import Conflict

__all__ = ["reached", "refusal"]

CLASHES = {409, 412, 428}
NEXT_STEPS = {
    401: "show a certificate of the mesh that names exactly one SPIFFE id",
    403: "use a certificate whose identity has that role, or start the service with a role for this one",
    404: "look at the name; `meshmark policy get` lists what is there",
    413: "make several smaller changes",
    422: "mend it; nothing was changed",
}


@contextmanager
def reached(url: str) -> Iterator[None]:
    """Whatever keeps the service from answering is a fault of the environment."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise DeadlineExceeded(
            "the policy admin service does not answer in time",
            where=url,
            next_step="look at its log; if it is only slow, ask with a longer timeout",
        ) from error
    except (httpx.TransportError, ssl.SSLError) as error:
        # In TLS 1.3 a client is refused only after its handshake: httpx then passes on the error of the read as it is.
        encrypted = "ssl" in str(error).lower() or "certificate" in str(error).lower()
        raise EnvironmentFault(
            "the policy admin service cannot be reached",
            where=url,
            detail=str(error) or type(error).__name__,
            next_step="look whether both ends trust the authority of the other's certificate"
            if encrypted
            else "start it (`meshmark mesh up`, or `meshmark serve policy-admin`), or name its right address",
        ) from error


def refusal(answer: httpx.Response) -> MeshmarkError:
    """The error that an answer other than a success stands for."""
    problem = _problem(answer)
    flaws = [flaw for flaw in problem.get("errors", ()) if isinstance(flaw, Mapping)]
    what, where = str(problem.get("detail", f"status {answer.status_code}")), str(answer.request.url)
    if answer.status_code >= 500:
        return EnvironmentFault(
            f"the policy admin service fails: {what}",
            where=where,
            detail=f"correlation id {answer.headers.get('x-correlation-id', 'unknown')}",
            next_step="look into its log, then try again",
        )
    if answer.status_code in CLASHES:
        return Conflict(_versions(flaws), where=where, detail="\n".join([what, *map(_line, flaws)]))
    if answer.status_code == 422 and any("document" in flaw for flaw in flaws):
        return InvalidPolicies(
            Problem(
                str(flaw.get("document", "body")),
                str(flaw.get("pointer", "")),
                str(flaw["reason"]),
                str(flaw.get("next_step", NEXT_STEPS[422])),
            )
            for flaw in flaws
        )
    return UsageError(
        what,
        where=where,
        detail="\n".join(map(_line, flaws)) or None,
        next_step=NEXT_STEPS.get(answer.status_code, "use the version of meshmark that the service has"),
    )


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if answer.headers.get("content-type") != "application/problem+json":
        return {}
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _versions(flaws: list[Mapping[str, Any]]) -> dict[PolicyKey, int]:
    versions = {}
    for flaw in flaws:
        kind, _, name = str(flaw.get("document", "")).partition("/")
        if kind in list(Kind) and isinstance(flaw.get("version"), int):
            versions[Kind(kind), name] = int(flaw["version"])
    return versions


def _line(flaw: Mapping[str, Any]) -> str:
    place = " ".join(str(flaw[key]) for key in ("document", "parameter", "pointer") if flaw.get(key))
    return f"{place}: {flaw.get('reason', '')}" if place else str(flaw.get("reason", ""))
