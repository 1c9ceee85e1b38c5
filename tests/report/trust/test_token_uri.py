"""PKCS#11 URIs (RFC 7512): all that one says is heeded or refused, and no PIN is taken from one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model.errors import UsageError
from conformance.report.trust.token_uri import parse_token_uri


def test_every_attribute_is_read() -> None:
    uri = parse_token_uri(
        "pkcs11:token=The%20Lab;serial=0a1b;model=v2;manufacturer=Example;object=r%C3%A9ports;id=%01%ff;type=private"
        "?module-path=/usr/lib/a%20b.so",
        "URI",
    )
    assert uri.module == Path("/usr/lib/a b.so")
    assert uri.token == {"token": "The Lab", "serial": "0a1b", "model": "v2", "manufacturer": "Example"}
    assert (uri.label, uri.id) == ("réports", b"\x01\xff")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/keys/lab.pem", "is no PKCS#11 URI"),
        ("pkcs11:", "names no module"),
        ("pkcs11:object=x?module-path=lib.so", "names no module by its full path"),
        ("pkcs11:token=x?module-path=/lib.so", "names no key"),
        ("pkcs11:object=;id=?module-path=/lib.so", "names no key"),
        ("pkcs11:object=x;type=cert?module-path=/lib.so", "of type cert"),
        ("pkcs11:object=x;object=y?module-path=/lib.so", "says object twice"),
        ("pkcs11:object=x;slot-id=1?module-path=/lib.so", "says slot-id, which"),
        ("pkcs11:object=x?module-name=lib&module-path=/lib.so", "says module-name, which"),
        ("pkcs11:object=x;module-path=/lib.so", "says module-path, which meshmark does not heed at this place"),
        ("pkcs11:object=%ff?module-path=/lib.so", "something else than UTF-8"),
        ("pkcs11:object=a%0Ab?module-path=/lib.so", "cannot be printed"),
        ("pkcs11:object=%E2%80%AEx?module-path=/lib.so", "cannot be printed"),
        ("pkcs11:object=a b?module-path=/lib.so", "no attribute"),
        ("pkcs11:object=a%zz?module-path=/lib.so", "no attribute"),
        ("pkcs11:object=a\n?module-path=/lib.so", "no attribute"),
        ("pkcs11:object?module-path=/lib.so", "no attribute"),
        ("pkcs11:object=" + "x" * 5_000 + "?module-path=/lib.so", "is no PKCS#11 URI"),
    ],
)
def test_what_is_not_heeded_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_token_uri(text, "URI")
    assert "module-path=" in caught.value.next_step


@pytest.mark.parametrize("name", ["pin-value", "pin-source"])
@pytest.mark.parametrize("place", ["pkcs11:object=x;{}?module-path=/lib.so", "pkcs11:object=x?module-path=/lib.so&{}"])
def test_a_pin_is_refused_and_not_repeated(name: str, place: str) -> None:
    with pytest.raises(UsageError, match="may not hold a PIN") as caught:
        parse_token_uri(place.format(f"{name}=135790"), "URI")
    assert "135790" not in str(caught.value)
    assert "MESHMARK_TOKEN_PIN" in caught.value.next_step


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for each in (text, f"pkcs11:{text}", f"pkcs11:object=x;{text}?module-path=/lib.so"):
        try:
            uri = parse_token_uri(each, "URI")
        except UsageError:
            continue
        assert uri.module.is_absolute()
        assert uri.label or uri.id
