"""What must not enter a record: the values of the headers that the run file sends along, and session cookies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Redaction"]

PLACEHOLDER = "(not recorded)"
SHORTEST_PART = 8
"""Shorter parts of a value, such as its scheme `Bearer`, are no secrets and too likely to be met by chance."""
COOKIES = frozenset({"cookie", "set-cookie"})


class Redaction:
    """Replaces secrets wherever they stand in an observation: in requests, in answers that echo them, in messages."""

    def __init__(self, header_values: Iterable[str]) -> None:
        found = set()
        for value in header_values:
            found |= {value, *(part for part in value.split() if len(part) >= SHORTEST_PART)}
        # The longest first, or a part would be cut out of the whole.
        self._secrets = sorted(filter(None, found), key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text without them."""
        for secret in self._secrets:
            text = text.replace(secret, PLACEHOLDER)
        return text

    def observation(self, observed: Any) -> Any:  # noqa: ANN401 -- any value of JSON
        """An observation without them. A pair of a cookie header's name and its value loses the value."""
        if isinstance(observed, str):
            return self.text(observed)
        if isinstance(observed, Mapping):
            return {self.text(str(key)): self.observation(value) for key, value in observed.items()}
        if isinstance(observed, list | tuple):
            match observed:
                case [str(name), str()] if name.lower() in COOKIES:
                    return [name, PLACEHOLDER]
            return [self.observation(each) for each in observed]
        return observed
