"""The forms of the mesh's document and of a member's. Invariants as in `service_form`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from conformance.model import policies
from conformance.model.policies import Topology
from conformance.policy.documents import words
from conformance.policy.documents.form import Form, Items, Names

__all__ = ["MemberForm", "MeshForm"]


def _json_text(value: object) -> str:
    if not isinstance(value, dict):
        raise ValueError("a JSON Web Key Set is needed: an object with the key `keys`")
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


Jwks = Annotated[
    str,
    PlainValidator(_json_text),
    WithJsonSchema(
        {
            "type": "object",
            "required": ["keys"],
            "properties": {"keys": {"type": "array", "items": {"type": "object", "required": ["kty"]}}},
        }
    ),
]


class MemberForm(Form):
    """A member of the mesh: one security server and the applications behind it."""

    makes = policies.MemberPolicy
    kind: Literal["member"]
    """What the policy is about."""
    name: words.Label
    """Its name, which is also that of its security server."""
    identity: words.SpiffeId
    """The SPIFFE id of its security server."""
    id: words.MemberIdText | None = None
    """Its X-Road identifier: instance/class/code/subsystem; the subsystem may be missing."""
    calls: Names[words.ServiceLabel] = ()
    """The services that its applications may address. The services' own rules decide about the calls."""
    gateway: bool = False
    """Whether it is an external gateway."""


class TokenIssuer(Form):
    """Somebody whose signed tokens count."""

    makes = policies.TokenIssuer
    name: words.Text
    """How services refer to it."""
    issuer: words.Text
    """What the token's `iss` must say."""
    jwks: Jwks
    """Its public keys, a JSON Web Key Set."""


class ForeignDomain(Form):
    """Another trust domain whose callers come in by the external gateway."""

    makes = policies.ForeignDomain
    name: words.TrustDomainName
    """Its trust domain, such as partner.test."""
    authority_pem: words.Text
    """Its root certificates."""
    identities: Names[words.SpiffeId] = ()
    """SPIFFE ids that are let in, exactly these."""


class MeshForm(Form):
    """What counts for the whole mesh."""

    makes = policies.MeshPolicy
    kind: Literal["mesh"]
    """What the policy is about."""
    name: Literal["mesh"] = "mesh"
    """There is only one."""
    instance: words.Identifier = "MESH"
    """The first part of X-Road identifiers."""
    client_header: words.FieldName = "X-Road-Client"
    """The header by which an X-Road client names itself."""
    minimum_tls: Literal["1.2", "1.3"] = "1.3"
    """The oldest TLS that is spoken; 1.2 only where older peers have to be borne."""
    topology: Annotated[Topology, Field(strict=False)] = Topology.INTER_PROXY
    """Where security servers stand."""
    authentication: bool = True
    """Whether the authentication service is asked about each call."""
    authentication_timeout_s: words.Seconds = 1.0
    """No answer of it by then is a refusal, in seconds; the limit service has as long."""
    issuers: Items[TokenIssuer] = ()
    """Whose tokens count."""
    tracing_percent: words.Percent = 100.0
    """The share of calls without a sampling decision of their own that are traced."""
    federation: Items[ForeignDomain] = ()
    """Other trust domains."""
