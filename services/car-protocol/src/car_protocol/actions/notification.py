"""Notifications, and who wants them pushed."""

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Server


def notify(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`P<type><text>` goes to everybody who watches, as it is, into the history and to who subscribed.

    It is no state that greets later apps.
    """
    server.publisher.publish(room, message)
    room.tell_watchers(message, now)
    server.notifier.notify(room.vehicle, message[1:], now)


def subscribe(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`p<app id>,<type>,…` asks to have notifications pushed; there is no answer (manual, message 0x70)."""
    if not server.subscriptions.ask(room, message[1:]):
        server.counters.ignored += 1
