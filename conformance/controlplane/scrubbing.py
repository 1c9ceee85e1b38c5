"""Private material never leaves through words: error messages, logs, evidence.

Envoy quotes configuration in some of its refusals, private keys included, so every text that comes from a proxy or from a
parser passes through `scrub` before anyone sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["private_values", "scrub"]

LONGEST_TEXT = 2_000
SHORTEST_PRIVATE_VALUE = 4
REMOVED = "[removed]"

# A PEM block may be cut off before its end, and its line breaks may be written as escapes.
PEM_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
# "-----BEGIN" in base64, at each of the three alignments that matter for a value of its own: only the first occurs.
ENCODED_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_\\n-]*")
PRIVATE_FIELDS = frozenset(
    {
        "genericSecret", "generic_secret", "hmacSecret", "hmac_secret", "password", "privateKey", "private_key",
        "privateKeyProvider", "private_key_provider", "sessionTicketKeys", "session_ticket_keys", "tokenSecret", "token_secret",
    }
)  # fmt: skip
PRIVATE_FIELD_TEXT = re.compile(
    r"\b(" + "|".join(sorted(PRIVATE_FIELDS)) + r")\b\W{0,8}\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}?", re.DOTALL
)


def scrub(text: str, private: Iterable[str] = ()) -> str:
    """`text` without PEM blocks, without the contents of private fields, and without any of the `private` values.

    Certificates go too: nobody reads them in a message, and a rule without exceptions cannot be got wrong.
    """
    for value in private:
        text = text.replace(value, REMOVED)
    text = PEM_BLOCK.sub(REMOVED, text)
    text = ENCODED_PEM.sub(REMOVED, text)
    text = PRIVATE_FIELD_TEXT.sub(rf"\1 {REMOVED}", text)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ..."


def private_values(fields: Any) -> Iterator[str]:
    """Every string under a private field of a resource in protobuf JSON form, however deep."""
    if isinstance(fields, Mapping):
        for key, value in fields.items():
            yield from _strings(value) if key in PRIVATE_FIELDS else private_values(value)
    elif isinstance(fields, (list, tuple)):
        for value in fields:
            yield from private_values(value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= SHORTEST_PRIVATE_VALUE:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
