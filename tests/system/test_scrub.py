from __future__ import annotations

import base64
import json

import pytest

from conformance.system.scrub import REDACTED, scrubbed

LABELS = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]


def pem(label: str, body: str = "MIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w") -> str:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


@pytest.mark.parametrize("label", LABELS)
def test_a_key_in_pem_is_replaced_and_what_stands_around_it_stays(label):
    assert scrubbed(f"before {pem(label)} after") == f"before {REDACTED}\n after"


@pytest.mark.parametrize("label", LABELS)
def test_a_key_in_json_is_replaced_and_the_json_stays_json(label):
    text = json.dumps({"a": pem(label), "b": base64.b64encode(pem(label).encode()).decode(), "c": "kept"})
    cleaned = scrubbed(text)
    assert "MIGH" not in cleaned
    assert base64.b64encode(b"MIGHAgEA").decode()[:8] not in cleaned
    assert json.loads(cleaned)["c"] == "kept"


@pytest.mark.parametrize("label", LABELS)
def test_a_key_whose_start_was_cut_off_is_replaced(label):
    rest = pem(label).split("\n", 1)[1]
    assert "AgEGCC" not in scrubbed(rest + "the next log line")
    assert scrubbed(rest + "the next log line").endswith("the next log line")


@pytest.mark.parametrize("label", LABELS)
def test_a_key_whose_end_was_cut_off_is_replaced(label):
    assert "MIGH" not in scrubbed("log: " + pem(label)[:60])


def test_a_certificate_stays_in_both_forms():
    certificate = pem("CERTIFICATE")
    text = certificate + base64.b64encode(certificate.encode()).decode()
    assert scrubbed(text) == text


def test_a_key_that_follows_a_certificate_in_one_base64_text_is_replaced():
    both = base64.b64encode((pem("CERTIFICATE") + pem("PRIVATE KEY")).encode()).decode()
    assert scrubbed(both) == REDACTED
