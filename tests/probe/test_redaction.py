"""What is secret stays out of a record, wherever it turns up."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from conformance.probe.redaction import Redaction

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
SECRET = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=12)


def test_a_credential_is_replaced_where_it_is_sent_and_where_it_is_echoed():
    redaction = Redaction(["Bearer s3cr3t-t0ken"])
    observed = {
        "request": {"headers": [["authorization", "Bearer s3cr3t-t0ken"], ["accept", "*/*"]]},
        "response": {"body": "you sent s3cr3t-t0ken"},
    }
    redacted = redaction.observation(observed)
    assert "s3cr3t-t0ken" not in json.dumps(redacted)
    assert redacted["request"]["headers"][1] == ["accept", "*/*"]
    assert redaction.text("seen: s3cr3t-t0ken") == "seen: (not recorded)"


def test_session_cookies_are_not_recorded():
    observed = {"headers": [["Set-Cookie", "session=1234; HttpOnly"], ["cookie", "session=1234"], ["date", "today"]]}
    redacted = Redaction([]).observation(observed)
    assert "1234" not in json.dumps(redacted)
    assert redacted["headers"][2] == ["date", "today"]


@given(secret=SECRET, before=JSON, text=st.text(), name=st.text())
def test_no_secret_survives(secret, before, text, name):
    observed = {"a": before, name + secret: [text + secret + text, {"deep": (secret,)}], "pair": ["x-key", secret]}
    assert secret not in json.dumps(Redaction([f"Key {secret}"]).observation(observed), ensure_ascii=False)


@given(observed=JSON)
def test_without_secrets_nothing_changes(observed):
    assert (
        Redaction([]).observation({"seen": observed}) == {"seen": observed} or "cookie" in json.dumps(observed).lower()
    )
