"""Questions and answers as Envoy words them (`envoy.service.auth.v3.Authorization`).

Invariants: an answer holds nothing secret and nothing that the caller wrote; the identity headers that a building block
sees were written here, and whatever came in under their names is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from conformance.authn.call import CALLER_HEADER, ISSUER_HEADER, SUBJECT_HEADER, Call, Decision
from conformance.authn.reasons import Reason
from conformance.protobuf.messages import DynamicMessage, message_class

__all__ = ["CheckRequest", "answer_to", "call_in", "identity_headers"]

CheckRequest = message_class("envoy.service.auth.v3.CheckRequest")
CheckResponse = message_class("envoy.service.auth.v3.CheckResponse")
OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16
OVERWRITE_IF_EXISTS_OR_ADD = 2
REMEMBERED = 4096


def call_in(request: DynamicMessage) -> Call:
    """The call that a security server asks about. What it does not say is empty."""
    attributes = request.attributes
    http, peer, context = attributes.request.http, attributes.source, attributes.context_extensions
    return Call(
        direction=context.get("direction", ""),
        service=context.get("service", ""),
        server=context.get("server", ""),
        method=http.method,
        path=http.path,
        principal=peer.principal,
        certificate=peer.certificate,
        headers=http.headers,
    )


def identity_headers(decision: Decision) -> dict[str, str]:
    """What the next one is told about the caller; an empty value: a header of this name is removed."""
    headers = {
        CALLER_HEADER: decision.caller,
        SUBJECT_HEADER: decision.subject,
        ISSUER_HEADER: decision.issuer,
    }
    if decision.client_header:
        headers[decision.client_header] = decision.client
    return headers


def answer_to(decision: Decision, headers: Mapping[str, str], service: str) -> bytes:
    """The encoded answer. Most calls are like one before, so answers are remembered.

    Args:
        decision: what was decided.
        headers: what `identity_headers` gave; only a call that goes through gets them.
        service: which service was called.

    """
    return _encoded(decision, tuple(headers.items()), service)


@lru_cache(REMEMBERED)
def _encoded(decision: Decision, headers: tuple[tuple[str, str], ...], service: str) -> bytes:
    answer: DynamicMessage = CheckResponse()
    _say(answer.dynamic_metadata.fields, decision)
    if decision.allowed:
        answer.status.code = OK
        _set(answer.ok_response.headers, {name: value for name, value in headers if value})
        answer.ok_response.headers_to_remove.extend(name for name, value in headers if not value)
    else:
        _refuse(answer, decision.reason, service)
    return bytes(answer.SerializeToString())


def _refuse(answer: DynamicMessage, reason: Reason, service: str) -> None:
    status = HTTPStatus.UNAUTHORIZED if reason.about_token else HTTPStatus.FORBIDDEN
    problem = {"title": status.phrase, "status": status.value, "detail": reason.sentence, "reason": reason.value}
    headers = {"content-type": "application/problem+json"}
    if reason.about_token:
        headers["www-authenticate"] = _challenge(reason, service)
    answer.status.code = UNAUTHENTICATED if reason.about_token else PERMISSION_DENIED
    answer.denied_response.status.code = status.value
    answer.denied_response.body = json.dumps(problem)
    _set(answer.denied_response.headers, headers)


def _challenge(reason: Reason, service: str) -> str:
    """RFC 6750 section 3: whoever sent no token is told no error."""
    challenge = f'Bearer realm="{service}"'
    if reason is not Reason.TOKEN_MISSING:
        challenge += f', error="invalid_token", error_description="{reason.sentence}"'
    return challenge


def _say(metadata: DynamicMessage, decision: Decision) -> None:
    """Dynamic metadata of the filter: the access log names them."""
    said = {
        "decision": "allowed" if decision.allowed else "refused",
        "reason": decision.reason.value,
        "caller": decision.caller,
        "client": decision.client,
        "operation": decision.operation,
        "policy": decision.policy,
        "store_version": str(decision.store_version),
        "subject": decision.subject,
    }
    for name, value in said.items():
        if value:
            metadata[name].string_value = value


def _set(options: DynamicMessage, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        option = options.add(append_action=OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key = name
        option.header.value = value
