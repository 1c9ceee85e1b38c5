"""Just enough of the protobuf wire format to build a discovery response from parts that are already encoded.

Fields of a message may follow each other in any order, so a response is the concatenation of a part that many streams
share and a part (the nonce) that belongs to one. See https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

__all__ = ["field", "payload"]

LENGTH_DELIMITED = 2


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field (string, bytes or message): tag, length, content. `number` is below 16."""
    return bytes((number << 3 | LENGTH_DELIMITED,)) + _varint(len(content)) + content


def payload(encoded: bytes) -> bytes:
    """The content of one field that `field` made."""
    start = 1
    while encoded[start] & 0x80:
        start += 1
    return encoded[start + 1 :]


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
