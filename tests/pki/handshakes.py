"""One real TLS connection over a socket pair, and what each end saw of it."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cryptography import x509

from conformance.pki import identity_in

TIMEOUT_S = 10
GREETING = b"welcome"


@dataclass(frozen=True)
class End:
    """What one end saw: the peer's identity if it accepted, the reason if it did not or was told so by an alert."""

    accepted: bool
    peer: str | None = None
    reason: str | None = None
    version: str | None = None
    protocol: str | None = None


@dataclass(frozen=True)
class Connection:
    client: End
    server: End


def connect(client: ssl.SSLContext, server: ssl.SSLContext, *, host: str = "localhost") -> Connection:
    """The server greets first: in TLS 1.3 a client learns only by reading that it was refused."""
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT_S)
    theirs.settimeout(TIMEOUT_S)
    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(_serve, server, theirs)
        return Connection(_call(client, ours, host), serving.result())


def _serve(context: ssl.SSLContext, raw: socket.socket) -> End:
    try:
        with raw, context.wrap_socket(raw, server_side=True) as secured:
            secured.sendall(GREETING)
            return _accepted(secured)
    except ssl.SSLError as refusal:
        return _refused(refusal)


def _call(context: ssl.SSLContext, raw: socket.socket, host: str) -> End:
    try:
        with raw, context.wrap_socket(raw, server_hostname=host) as secured:
            assert secured.recv(len(GREETING)) == GREETING
            return _accepted(secured)
    except ssl.SSLError as refusal:
        return _refused(refusal)


def _accepted(secured: ssl.SSLSocket) -> End:
    shown = secured.getpeercert(binary_form=True)
    peer = identity_in(x509.load_der_x509_certificate(shown)) if shown else None
    return End(True, peer=peer, version=secured.version(), protocol=secured.selected_alpn_protocol())


def _refused(refusal: ssl.SSLError) -> End:
    if isinstance(refusal, ssl.SSLCertVerificationError):
        return End(False, reason=refusal.verify_message)
    return End(False, reason=refusal.reason)
