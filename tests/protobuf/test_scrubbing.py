from __future__ import annotations

import base64

import pytest

from conformance.protobuf.scrubbing import private_values, scrub

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "text",
    [
        f"bad key {KEY} in it",
        "private_key { inline_string: " + repr(KEY),
        'privateKey: {"inlineBytes": "' + base64.b64encode(KEY.encode()).decode() + '"}',
        "tls_certificate { private_key { inline_string: 'MIGH' } password { inline_string: 'MIGH' } }",
        "generic_secret {\n  secret {\n    inline_string: 'MIGH'\n  }\n}",
        "session_ticket_keys { keys { inline_bytes: 'MIGH' } keys { inline_bytes: 'MIGH' } }",
        "generic_secret { secret { inline_string: 'MIGH",
    ],
)
def test_private_material_is_removed_however_envoy_prints_it(text: str):
    assert "MIGH" not in scrub(text)
    assert base64.b64encode(b"MIGHAg").decode()[:6] not in scrub(text)


def test_what_explains_a_refusal_stays():
    reason = "Failed to load certificate chain from <inline>, only P-256 curves are allowed: private_key is not one"
    assert scrub(reason) == reason


def test_known_values_are_removed_wherever_they_stand():
    secret = {"name": "a", "tls_certificate": {"password": {"inline_string": "hush hush"}}}
    assert list(private_values(secret)) == ["hush hush"]
    assert scrub("cannot open with hush hush", private_values(secret)) == "cannot open with [removed]"


def test_an_endless_text_is_cut():
    assert len(scrub("x" * 100_000)) < 3_000
