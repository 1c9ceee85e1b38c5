"""Keys that stay in a token, such as a smart card or a hardware security module, and sign there (PKCS#11).

The file `NAME.pem` of such a key holds no secret. It says whose the key is and where, and which public key belongs to
it, so that another key in its place is noticed:

    name: National Test Laboratory
    role: laboratory
    token: pkcs11:token=Laboratory;object=reports?module-path=/usr/lib/softhsm/libsofthsm2.so
    -----BEGIN PUBLIC KEY-----

Invariants: the PIN comes from the environment or from the terminal, and goes to the token only; no signature is handed
on that the public key does not verify.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from conformance.model.errors import EnvironmentFault, UsageError
from conformance.model.requirements import Role
from conformance.report.text import one_line
from conformance.report.trust.keys import PublicKey, checked_name, parse_public_key
from conformance.report.trust.token_uri import TokenUri, parse_token_uri

try:
    import pkcs11
    from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
    from pkcs11.exceptions import (
        AttributeTypeInvalid,
        PinIncorrect,
        PinInvalid,
        PinLenRange,
        PinLocked,
        PKCS11Error,
    )
    from pkcs11.types import Object, SignMixin
except ModuleNotFoundError as problem:
    raise UsageError(
        "a key in a token needs python-pkcs11, which is not installed",
        next_step="install meshmark with its extra pkcs11: pip install 'meshmark[pkcs11]'",
    ) from problem

__all__ = ["TOKEN_PIN", "TokenKey", "find_token_key", "parse_token_key"]

TOKEN_PIN = "MESHMARK_TOKEN_PIN"  # noqa: S105 -- the name of the variable
"""The environment variable that holds the PIN of the token; without it, it is asked for at the terminal."""
TOKEN_LINE = re.compile(r"^token: (.*)$", re.MULTILINE)

P256 = bytes.fromhex("06082a8648ce3d030107")
"""CKA_EC_PARAMS of P-256: its object identifier (RFC 5480) in DER."""
ED25519 = {bytes.fromhex("06032b6570"), b"\x13\x0cedwards25519"}
"""CKA_EC_PARAMS of Ed25519 in DER: its object identifier (RFC 8410), or the name that PKCS#11 3.0 gave it."""


@dataclass(frozen=True)
class TokenKey:
    """A private key in a token, and whose it is.

    Attributes:
        uri: where it is.
        public: its other half.

    """

    uri: TokenUri = field(repr=False)
    public: PublicKey

    @property
    def name(self) -> str:
        """Of its owner."""
        return self.public.name

    @property
    def role(self) -> Role:
        """In which its owner signs."""
        return self.public.role

    def sign(self, content: bytes) -> bytes:
        """A signature made by the token: 64 bytes for Ed25519, DER for P-256.

        Raises:
            UsageError: the PIN is wrong or missing, or there is no such key.
            EnvironmentFault: the token does not do it, or signs with another key.

        """
        with _using(self.uri):
            token = _token(self.uri)
            pin = _pin(self.uri)
            with token.open(user_pin=pin) as session:
                signature = self._sign_in(session, content, pin)
        if not self.public.verifies(signature, content):
            raise EnvironmentFault(
                "the token has signed with another key than the file says",
                where=self.uri.text,
                next_step="see that the right token is there; for a new key make a new file by `meshmark keys token`",
            )
        return signature

    def to_text(self) -> bytes:
        """The file."""
        name, role, pem = self.public.to_pem().split(b"\n", 2)
        return b"\n".join([name, role, f"token: {self.uri.text}".encode(), pem])

    def _sign_in(self, session: pkcs11.Session, content: bytes, pin: str) -> bytes:
        key = _only(session, ObjectClass.PRIVATE_KEY, self.uri)
        if not isinstance(key, SignMixin):
            raise UsageError(
                "is a key that the token does not sign with", where=self.uri.text, next_step="name another"
            )
        again = pin if _asks_each_time(key) else None
        if isinstance(self.public.key, Ed25519PublicKey):
            return bytes(key.sign(content, mechanism=Mechanism.EDDSA, pin=again))
        # All tokens sign a digest, few hash; what comes is r and s of PKCS#11, not DER.
        pair = key.sign(hashlib.sha256(content).digest(), mechanism=Mechanism.ECDSA, pin=again)
        half = len(pair) // 2
        return encode_dss_signature(int.from_bytes(pair[:half], "big"), int.from_bytes(pair[half:], "big"))


def find_token_key(text: str, name: str, role: Role) -> TokenKey:
    """Look into the token for the public half of a key; no PIN is needed.

    Args:
        text: the URI.
        name: of the key's owner.
        role: in which its owner signs.

    Raises:
        UsageError: the URI is wrong, the name cannot be one, or the token holds no such key of a kind that we use.
        EnvironmentFault: the token cannot be reached.

    """
    uri = parse_token_uri(text, "URI")
    checked_name(name)
    with _using(uri), _token(uri).open() as session:
        found = _only(session, ObjectClass.PUBLIC_KEY, uri)
        kind, curve, point = found[Attribute.KEY_TYPE], found[Attribute.EC_PARAMS], found[Attribute.EC_POINT]
    return TokenKey(uri, PublicKey(_public_key(uri, kind, curve, point), name, role))


def parse_token_key(content: bytes, where: str) -> TokenKey:
    """Read the file of a key in a token.

    Raises:
        UsageError: it is none.

    """
    public = parse_public_key(content, where)
    said = TOKEN_LINE.findall(content.decode().replace("\r\n", "\n"))
    if len(said) != 1:
        raise UsageError(
            "does not say in which token the key is", where=where, next_step="make it by `meshmark keys token`"
        )
    return TokenKey(parse_token_uri(said[0], where), public)


def _public_key(
    uri: TokenUri, kind: object, curve: bytes, point: bytes
) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
    # The point is a DER OCTET STRING; some tokens leave the two bytes of its head away.
    bare = point[2:] if point[:2] == bytes([4, len(point) - 2]) else point
    try:
        if kind is KeyType.EC and curve == P256:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bare)
        if kind is KeyType.EC_EDWARDS and curve in ED25519:
            return Ed25519PublicKey.from_public_bytes(bare)
    except ValueError as error:
        raise EnvironmentFault(
            "the token shows a public key that is none", where=uri.text, next_step="make a new key in the token"
        ) from error
    raise UsageError(
        "is neither an Ed25519 nor a P-256 key", where=uri.text, next_step="name another key, or make one in the token"
    )


def _token(uri: TokenUri) -> pkcs11.Token:
    """The one token that the URI describes."""
    tokens = [slot.get_token() for slot in pkcs11.lib(str(uri.module)).get_slots(token_present=True)]
    found = [token for token in tokens if uri.token.items() <= _facts(token).items()]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(one_line(token.label, 100) for token in tokens if token.label)) or "none"
    raise EnvironmentFault(
        "several tokens are such a one" if found else "no such token is there",
        where=uri.text,
        detail=f"tokens: {there}",
        next_step="say more of it, such as serial=NUMBER" if found else "plug it in, or mend the URI",
    )


def _facts(token: pkcs11.Token) -> dict[str, str]:
    return {
        "token": token.label,
        "serial": token.serial.decode("utf-8", "replace").rstrip(" \0"),
        "manufacturer": token.manufacturer_id,
        "model": token.model,
    }


def _only(session: pkcs11.Session, kind: ObjectClass, uri: TokenUri) -> Object:
    """The one key of this kind that the URI describes."""
    wanted = {Attribute.CLASS: kind, Attribute.LABEL: uri.label, Attribute.ID: uri.id}
    found = list(session.get_objects({name: value for name, value in wanted.items() if value is not None}))
    if len(found) != 1:
        what = kind.name.lower().replace("_", " ")
        raise UsageError(
            f"the token has {len(found)} such {what}s" if found else f"the token has no such {what}",
            where=uri.text,
            next_step="name exactly one by object=LABEL, by id=%01, or by both",
        )
    return found[0]


def _asks_each_time(key: Object) -> bool:
    """Whether the key wants the PIN before every signature, as those for qualified signatures on smart cards do."""
    try:
        return bool(key[Attribute.ALWAYS_AUTHENTICATE])
    except AttributeTypeInvalid:
        return False


def _pin(uri: TokenUri) -> str:
    if pin := os.environ.get(TOKEN_PIN):
        return pin
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("the token asks for a PIN", where=uri.text, next_step=f"put it into the variable {TOKEN_PIN}")
    return getpass.getpass(f"PIN of the token {one_line(uri.token.get('token', ''), 100)}: ")


@contextmanager
def _using(uri: TokenUri) -> Iterator[None]:
    """Says in our words what a token refuses."""
    try:
        yield
    except (PinIncorrect, PinInvalid, PinLenRange) as error:
        raise UsageError(
            "the token refuses the PIN",
            where=uri.text,
            next_step=f"see that {TOKEN_PIN} holds it; too many wrong ones lock the token",
        ) from error
    except PinLocked as error:
        raise EnvironmentFault(
            "the token is locked after too many wrong PINs", where=uri.text, next_step="ask its keeper to unlock it"
        ) from error
    except PKCS11Error as error:
        raise EnvironmentFault(
            "the token or its module cannot be used",
            where=uri.text,
            detail=one_line(f"{type(error).__name__}: {error}", 500),
            next_step="see that module-path is the library that came with the token, and that the token is there",
        ) from error
