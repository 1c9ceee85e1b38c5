"""Whether a JSON Web Key Set holds public keys for signatures, and nothing else.

Invariant: a set with anything secret in it is refused, whatever else it says.
Sources: RFC 7517 (JWK), RFC 7518 section 6 (RSA, elliptic curves, symmetric keys), RFC 8037 section 2 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Final

from conformance.policy.documents.words import MOST_ITEMS

__all__ = ["KeyFault", "key_faults"]

KeyFault = tuple[tuple[str | int, ...], str, str]
"""Path in the set, reason, next step."""

SECRET: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
CURVE_BYTES: Final = {"P-256": 32, "P-384": 48, "P-521": 66}
SHORTEST_RSA_BITS: Final = 2048
LONGEST_RSA_BITS: Final = 16384
EXPORT = "export the public key alone, and replace this one: it must be taken for known"
RENEW = "write the issuer's public key set as it publishes it"


def key_faults(jwks: str) -> Iterator[KeyFault]:
    """Everything that is wrong with a set, given as JSON text."""
    keys = json.loads(jwks).get("keys")
    if not isinstance(keys, list):
        yield ("keys",), "a list of keys is needed", RENEW
        return
    if len(keys) > MOST_ITEMS:
        yield ("keys",), f"{len(keys)} keys; {MOST_ITEMS} are taken at most", "leave out keys that are no longer used"
        return
    seen: set[str] = set()
    for number, key in enumerate(keys):
        place = ("keys", number)
        if not isinstance(key, dict):
            yield place, "a key is a JSON object", RENEW
            continue
        yield from ((place + path, reason, step) for path, reason, step in _faults(key))
        name = key.get("kid")
        if isinstance(name, str):
            if name in seen:
                yield (*place, "kid"), f"two keys have the id `{name:.80}`", "give each key an id of its own"
            seen.add(name)


def _faults(key: dict[str, Any]) -> Iterator[KeyFault]:
    secret = [name for name in SECRET if name in key]
    for name in secret:
        yield (name,), "this is a part of a private or symmetric key; only public keys belong here", EXPORT
    yield from _purpose_faults(key)
    if not secret:
        yield from _material_faults(key)


def _purpose_faults(key: dict[str, Any]) -> Iterator[KeyFault]:
    if "kid" in key and not isinstance(key["kid"], str):
        yield ("kid",), "the id of a key is text", RENEW
    if key.get("use", "sig") != "sig":
        yield ("use",), "the key is not for signatures (`sig`)", "leave it out"
    algorithm = key.get("alg", "")
    if not isinstance(algorithm, str) or algorithm == "none" or algorithm.startswith("HS"):
        yield ("alg",), "this is no algorithm of public-key signatures", RENEW


def _material_faults(key: dict[str, Any]) -> Iterator[KeyFault]:
    match key.get("kty"):
        case "RSA":
            yield from _rsa_faults(key)
        case "EC":
            yield from _curve_faults(key)
        case "OKP":
            if key.get("crv") != "Ed25519":
                yield ("crv",), "the curve of such a key must be Ed25519", RENEW
            elif len(_bytes(key.get("x"))) != 32:
                yield ("x",), "32 bytes in base64url are needed", RENEW
        case _:
            yield ("kty",), "the kind of key must be RSA, EC or OKP", RENEW


def _rsa_faults(key: dict[str, Any]) -> Iterator[KeyFault]:
    modulus = int.from_bytes(_bytes(key.get("n")), "big")
    exponent = int.from_bytes(_bytes(key.get("e")), "big")
    if not SHORTEST_RSA_BITS <= modulus.bit_length() <= LONGEST_RSA_BITS:
        reason = f"a modulus of {SHORTEST_RSA_BITS} to {LONGEST_RSA_BITS} bits in base64url is needed"
        yield ("n",), f"{reason}, here: {modulus.bit_length()} bits", "use a key of 2048 bits or more"
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64:
        yield ("e",), "an odd exponent of 3 or more in base64url is needed", RENEW


def _curve_faults(key: dict[str, Any]) -> Iterator[KeyFault]:
    curve = key.get("crv")
    size = CURVE_BYTES.get(curve) if isinstance(curve, str) else None
    if size is None:
        yield ("crv",), f"the curve must be one of {', '.join(CURVE_BYTES)}", RENEW
        return
    x, y = _bytes(key.get("x")), _bytes(key.get("y"))
    for name, value in (("x", x), ("y", y)):
        if len(value) != size:
            yield (name,), f"{size} bytes in base64url are needed", RENEW
    if len(x) == len(y) == size and not _on_curve(str(curve), x, y):
        yield (), f"the point does not lie on {curve}", RENEW


def _on_curve(curve: str, x: bytes, y: bytes) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- slow to load, and few changes bring keys

    curves: dict[str, type[ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1]] = {
        "P-256": ec.SECP256R1,
        "P-384": ec.SECP384R1,
        "P-521": ec.SECP521R1,
    }
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curves[curve]())
    try:
        numbers.public_key()
    except ValueError:
        return False
    return True


def _bytes(value: object) -> bytes:
    """What base64url without padding says; nothing if it says nothing."""
    if not isinstance(value, str) or not value.isascii() or "=" in value or "+" in value or "/" in value:
        return b""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
