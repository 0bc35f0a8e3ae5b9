"""Notifications."""

from car_protocol.hub import Peer, Room
from car_protocol.server import Server


def notify(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`P<type><text>` goes to everybody who watches, as it is; it is no state, so nobody who comes later hears it."""
    server.publisher.publish(room, message)
    room.tell_watchers(message, now)
