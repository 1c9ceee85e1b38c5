"""Key material never leaves the run: not in a log line, not in an error message, not in a recorded configuration.

`scrubbed` works on text of any origin (a proxy that refuses its configuration prints all of it, private keys
included), so it recognizes keys by their form and not by where they stand: PEM, and PEM in base64 as JSON writes it.
Certificates are public and stay.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

__all__ = ["REDACTED", "private_keys", "scrubbed"]

REDACTED = "[private key redacted]"

_LABEL = r"[A-Z0-9 ]*PRIVATE KEY-----"
_WHOLE = re.compile(rf"-----BEGIN {_LABEL}.*?(?:-----END {_LABEL}|\Z)", re.DOTALL)
# The start may have been cut off, for instance where only the last lines of a log are kept.
_TAIL = re.compile(rf"\A.*-----END {_LABEL}", re.DOTALL)
_END = re.compile(rf"-----END {_LABEL}")
_BASE64_OF_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/_-]+={0,2}")


def scrubbed(text: str) -> str:
    """`text` without any private key: each is replaced by a note that one was there."""
    if "PRIVATE KEY" in text:
        text = _WHOLE.sub(REDACTED, text)
        text = _TAIL.sub(REDACTED, text)
    return _BASE64_OF_PEM.sub(_without_key, text)


def private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Where in `text` private keys stand: first character and the one after the last."""
    if "PRIVATE KEY" in text:
        whole = [found.span() for found in _WHOLE.finditer(text)]
        yield from whole
        ends = [found.end() for found in _END.finditer(text)]
        if tails := [end for end in ends if not any(start < end <= stop for start, stop in whole)]:
            yield 0, tails[-1]
    for found in _BASE64_OF_PEM.finditer(text):
        if _without_key(found) == REDACTED:
            yield found.span()


def _without_key(found: re.Match[str]) -> str:
    encoded = found.group().replace("-", "+").replace("_", "/").rstrip("=")
    encoded += "=" * (-len(encoded) % 4)
    try:
        decoded = base64.b64decode(encoded)
    except binascii.Error:
        # Cut off in the middle: nobody can tell what it was.
        return REDACTED
    return REDACTED if b"PRIVATE KEY" in decoded else found.group()
