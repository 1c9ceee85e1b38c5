"""SoftHSM2, a token made of software, for real signatures by PKCS#11."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so")]
"""Where Debian and Fedora have it."""
PIN, KEEPER_PIN = "135790", "24680135"
CURVES = {
    "p256": (KeyType.EC, bytes.fromhex("06082a8648ce3d030107"), Mechanism.EC_KEY_PAIR_GEN),
    "p384": (KeyType.EC, bytes.fromhex("06052b81040022"), Mechanism.EC_KEY_PAIR_GEN),
    "ed25519": (KeyType.EC_EDWARDS, bytes.fromhex("06032b6570"), Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
}


def module() -> Path:
    """The library, or a skip; a failure where MESHMARK_REQUIRE_PKCS11=1 promises it."""
    found = [path for path in MODULES if path.exists()]
    if found and shutil.which("softhsm2-util"):
        return found[0]
    if os.environ.get("MESHMARK_REQUIRE_PKCS11") == "1":
        pytest.fail("MESHMARK_REQUIRE_PKCS11=1, but there is no SoftHSM2")
    pytest.skip("no SoftHSM2 on this machine (Debian: softhsm2)")


def make_key(token: pkcs11.Token, kind: str, label: str, number: int, *, asks_each_time: bool = False) -> None:
    """A new pair of keys in the token."""
    private = {Attribute.ALWAYS_AUTHENTICATE: asks_each_time}
    key_type, curve, mechanism = CURVES[kind]
    with token.open(rw=True, user_pin=PIN) as session:
        parameters = session.create_domain_parameters(key_type, {Attribute.EC_PARAMS: curve}, local=True)
        parameters.generate_keypair(
            mechanism=mechanism, store=True, label=label, id=bytes([number]), private_template=private
        )
