"""Who is at the other end of a connection, from what the security server says about its certificate.

Invariant: a certificate that names several identities, or none, names nobody (SPIFFE standard "X509-SVID", section 2),
whichever of them the proxy happens to put first.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509

from conformance.authn.reasons import Reason, Refused

__all__ = ["proven_identity"]

SCHEME = "spiffe://"
REMEMBERED = 4096


def proven_identity(principal: str, certificate: str) -> str:
    """The SPIFFE id of the peer.

    Args:
        principal: what the proxy read in the certificate.
        certificate: the certificate itself, PEM in percent-encoding; empty: it was not passed on.

    Raises:
        Refused: there is none, or more than one.

    """
    if not principal.startswith(SCHEME):
        raise Refused(Reason.IDENTITY_MISSING)
    if certificate and _names_in(certificate) != (principal,):
        raise Refused(Reason.IDENTITY_AMBIGUOUS)
    return principal


@lru_cache(REMEMBERED)
def _names_in(certificate: str) -> tuple[str, ...]:
    try:
        read = x509.load_pem_x509_certificate(unquote(certificate).encode())
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
