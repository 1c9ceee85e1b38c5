"""What crosses a network that hosts share, as somebody sees it who listens in on the cable.

Invariant: whatever was on the wire before `drained` is asked is in what it gives, or `lost` is not zero.

Sources: packet(7); RFC 791 section 3.1 (IPv4); RFC 9293 section 3.1 (TCP).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from conformance.system.namespaces import NetworkNamespace

__all__ = ["Capture", "Segment", "Wire"]

EVERY_PROTOCOL = 0x0003
"""ETH_P_ALL of linux/if_ether.h."""
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_OUTGOING = 4
IPV4 = 0x0800
ETHERNET_HEADER = 14
LARGEST_FRAME = 256 * 1024
"""Between virtual interfaces a frame may hold what would be many on a real cable."""
BUFFER = 64 * 1024 * 1024


@dataclass(frozen=True)
class Segment:
    """One piece of a TCP stream, without headers: who sent it to whom, as address and port."""

    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


class Capture:
    """What was seen since it began."""

    def __init__(self, tap: socket.socket) -> None:
        self._tap = tap
        self._segments: list[Segment] = []
        self._lost = 0

    def drained(self) -> tuple[Segment, ...]:
        """All segments with a payload so far, in the order of their coming."""
        while True:
            try:
                frame, (_, protocol, direction, *_) = self._tap.recvfrom(LARGEST_FRAME)
            except BlockingIOError:
                return tuple(self._segments)
            # Each frame comes in by one port and goes out by another one.
            if protocol == IPV4 and direction != PACKET_OUTGOING and (segment := _segment(frame[ETHERNET_HEADER:])):
                self._segments.append(segment)

    @property
    def lost(self) -> int:
        """How many frames went by unseen, for lack of room."""
        _, lost = struct.unpack("II", self._tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self._lost += lost  # reading it sets it back
        return self._lost

    def streams(self) -> dict[tuple[tuple[str, int], tuple[str, int]], bytes]:
        """What each sent to each other, in one piece."""
        found: dict[tuple[tuple[str, int], tuple[str, int]], bytearray] = {}
        for segment in self.drained():
            found.setdefault((segment.source, segment.destination), bytearray()).extend(segment.payload)
        return {ends: bytes(sent) for ends, sent in found.items()}


@dataclass(frozen=True)
class Wire:
    """A switch, by the network namespace that it is in."""

    switch: NetworkNamespace

    @contextmanager
    def listened_in(self) -> Iterator[Capture]:
        """See everything that crosses it until the end of the block.

        Raises:
            EnvironmentFault: the network is gone.

        """
        tap = self.switch.within(_tap)
        with tap:
            yield Capture(tap)


def _tap() -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    tap.setblocking(False)
    return tap


def _segment(packet: bytes) -> Segment | None:
    """The TCP segment in an IPv4 packet; None: it is something else, or empty."""
    header = (packet[0] & 0x0F) * 4
    if packet[9] != socket.IPPROTO_TCP:
        return None
    length = int.from_bytes(packet[2:4], "big") or len(packet)  # zero: one that is larger than the field can say
    tcp = packet[header:length]
    source_port, destination_port = struct.unpack("!HH", tcp[:4])
    payload = tcp[(tcp[12] >> 4) * 4 :]
    if not payload:
        return None
    source, destination = (socket.inet_ntoa(packet[start : start + 4]) for start in (12, 16))
    return Segment((source, source_port), (destination, destination_port), payload)
