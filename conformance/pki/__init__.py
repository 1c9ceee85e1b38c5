"""The test certificate authority of a run, with every bad certificate that a check needs."""

from conformance.pki.contexts import anonymous_client_context, system_roots_pem
from conformance.pki.credential import Credential, PemFiles
from conformance.pki.given_authority import GIVEN_LIFE, GivenAuthority
from conformance.pki.identity import identity_in, spiffe_id
from conformance.pki.trust_domain import Clock, TrustDomain

__all__ = [
    "GIVEN_LIFE",
    "Clock",
    "Credential",
    "GivenAuthority",
    "PemFiles",
    "TrustDomain",
    "anonymous_client_context",
    "identity_in",
    "spiffe_id",
    "system_roots_pem",
]
