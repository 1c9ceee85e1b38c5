"""Where a key in a token is: a PKCS#11 URI (RFC 7512).

    pkcs11:token=Laboratory;object=reports?module-path=/usr/lib/softhsm/libsofthsm2.so

Invariants: what a URI says is heeded or refused, never passed over; a PIN in it is refused, for a command line and a
file show it to others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from conformance.model.errors import UsageError
from conformance.report.text import visible

__all__ = ["LONGEST_URI", "TokenUri", "parse_token_uri"]

LONGEST_URI = 4_000
SCHEME = "pkcs11:"
OF_TOKENS = frozenset({"token", "serial", "manufacturer", "model"})
OF_OBJECTS = frozenset({"object", "id", "type"})
OF_QUERIES = frozenset({"module-path"})
OF_PINS = frozenset({"pin-value", "pin-source"})
EXAMPLE = f"{SCHEME}token=NAME;object=LABEL?module-path=/PATH/OF/MODULE.so"
ATTRIBUTE = re.compile(r"([a-z-]+)=((?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&/?|]|%[0-9A-Fa-f]{2})*)")


@dataclass(frozen=True)
class TokenUri:
    """A parsed URI.

    Attributes:
        text: as it was written.
        module: the library through which the token is reached.
        token: attributes that the token must have: `token` (its label), `serial`, `manufacturer`, `model`.
        label: of the key, if one is named.
        id: of the key, if one is named.

    """

    text: str
    module: Path
    token: Mapping[str, str]
    label: str | None
    id: bytes | None


def parse_token_uri(text: str, where: str) -> TokenUri:
    """Read a URI.

    Raises:
        UsageError: it is none, names no module or no key, holds a PIN, or says something that is not heeded.

    """
    if len(text) > LONGEST_URI or not text.startswith(SCHEME):
        raise _refusal("is no PKCS#11 URI", where)
    path, _, query = text.removeprefix(SCHEME).partition("?")
    said = _attributes(path.split(";"), OF_TOKENS | OF_OBJECTS, where)
    asked = _attributes(query.split("&"), OF_QUERIES, where)
    words = {name: _text(name, value, where) for name, value in (said | asked).items() if name != "id"}
    module = Path(words.get("module-path", ""))
    if not module.is_absolute():
        raise _refusal("names no module by its full path (module-path)", where)
    if not (words.get("object") or said.get("id")):
        raise _refusal("names no key, by its label (object) or by its id", where)
    if words.get("type", "private") != "private":
        raise _refusal(f"is about an object of type {words['type']}, not about a private key", where)
    token = {name: words[name] for name in OF_TOKENS if name in words}
    return TokenUri(text, module, token, words.get("object"), said.get("id"))


def _attributes(parts: Iterable[str], known: frozenset[str], where: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, parts):
        read = ATTRIBUTE.fullmatch(part)
        if read is None:
            raise _refusal("has a part that is no attribute of a PKCS#11 URI", where)
        name = read[1]
        if name in OF_PINS:
            raise UsageError(
                f"may not hold a PIN ({name}): others can read it there",
                where=where,
                next_step="put the PIN into the variable MESHMARK_TOKEN_PIN, or wait to be asked; if it was a real "
                "one, change it",
            )
        if name not in known:
            raise _refusal(f"says {name}, which meshmark does not heed at this place", where)
        if name in found:
            raise _refusal(f"says {name} twice", where)
        found[name] = unquote_to_bytes(read[2])
    return found


def _text(name: str, value: bytes, where: str) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise _refusal(f"has {name} in something else than UTF-8", where) from error
    if visible(text) != text or "\n" in text:
        raise _refusal(f"has {name} with characters that cannot be printed", where)
    return text


def _refusal(what: str, where: str) -> UsageError:
    return UsageError(what, where=where, next_step=f"write it as {EXAMPLE}")
