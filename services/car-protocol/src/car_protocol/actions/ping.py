"""Pings, and what causes nothing."""

from typing import Protocol

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Counters


class PingPorts(Protocol):
    """The parts that messages without an effect need."""

    counters: Counters


def answer_ping(server: PingPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`A` is answered with `a` (manual, message 0x41); what it carries is discarded."""
    peer.send(b"a", now)


def ignore(server: PingPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """The message is none that this peer sends: count it, no more (manual, Backwards Compatibility)."""
    if message[:1] != b"a":
        server.counters.ignored += 1
