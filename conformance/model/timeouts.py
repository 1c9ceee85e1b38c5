"""The one table of time limits. A run file may raise single values; the record carries the table that was in force."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

__all__ = ["Timeouts"]


@dataclass(frozen=True)
class Timeouts:
    """Seconds. Limits, never pauses: a condition that comes true ends its wait at once."""

    subject_ready: float = 20.0
    """From starting a building block until it answers."""
    security_server_ready: float = 20.0
    """From starting an Envoy until it serves the configuration that it was given."""
    acknowledged: float = 10.0
    """From setting resources until the security server has acknowledged (ACK) or rejected (NACK) them."""
    enforced: float = 10.0
    """From the acknowledgement until the data path behaves as the new configuration says."""
    observed: float = 5.0
    """Until something that has happened shows in an access log or a statistic."""
    request: float = 10.0
    """One request and its whole answer."""
    handshake: float = 5.0
    """One TLS handshake, refusal included."""
    reconnect: float = 20.0
    """From the control plane's return until a security server has found it again."""
    generated_input: float = 120.0
    """The generated-input check as a whole."""
    stop: float = 3.0
    """From asking a program to end until it is killed."""
    check: float = 180.0
    """One check as a whole."""

    def to_json(self) -> dict[str, float]:
        """As it stands in the record."""
        return asdict(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names that a run file may use under `timeouts:`."""
        return tuple(field.name for field in fields(cls))
