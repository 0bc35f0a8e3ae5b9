"""Pings, and what causes nothing."""

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Server


def answer_ping(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`A` is answered with `a` (manual, message 0x41); what it carries is discarded."""
    peer.send(b"a", now)


def ignore(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """The message is none that this peer sends: count it, no more (manual, Backwards Compatibility)."""
    if message[:1] != b"a":
        server.counters.ignored += 1
