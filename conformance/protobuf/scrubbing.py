"""Private material never leaves through words: error messages, logs, evidence.

Envoy quotes configuration in some of its refusals, private keys included, so every text that comes from a proxy or from
a parser passes through `scrub` before anyone sees it. `system.scrub` knows keys by their form; what has no form
(passwords, tokens, session ticket keys) is known here by the fields that hold it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from conformance.system.scrub import scrubbed

__all__ = ["private_values", "scrub"]

LONGEST_TEXT = 2_000
# Shorter values are not secrets, and replacing them would make a text unreadable.
SHORTEST_VALUE = 4
REMOVED = "[removed]"

PRIVATE_FIELDS = frozenset(
    {
        *("generic_secret", "hmac_secret", "password", "private_key", "private_key_provider", "session_ticket_keys"),
        *("genericSecret", "hmacSecret", "privateKey", "privateKeyProvider", "sessionTicketKeys"),
    }
)
# A private field as Envoy prints it: a message, in text or JSON form, with at most one message inside; it may be cut
# off.
PRIVATE_FIELD_IN_TEXT = re.compile(
    r"\b(" + "|".join(sorted(PRIVATE_FIELDS)) + r")\b(\W{0,8})\{[^{}]*(?:\{[^{}]*\}?[^{}]*)*(?:\}|\Z)"
)


def scrub(text: str, private: Iterable[str] = ()) -> str:
    """`text` without keys, without the contents of private fields, and without any of the `private` values."""
    for value in private:
        text = text.replace(value, REMOVED)
    text = PRIVATE_FIELD_IN_TEXT.sub(rf"\1 {REMOVED}", scrubbed(text))
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ..."


def private_values(fields: object, *, private: bool = False) -> Iterator[str]:
    """Every string under a private field of a resource in protobuf JSON form, however deep."""
    if isinstance(fields, str):
        if private and len(fields) >= SHORTEST_VALUE:
            yield fields
    elif isinstance(fields, Mapping):
        for key, value in fields.items():
            yield from private_values(value, private=private or key in PRIVATE_FIELDS)
    elif isinstance(fields, (list, tuple)):
        for value in fields:
            yield from private_values(value, private=private)
