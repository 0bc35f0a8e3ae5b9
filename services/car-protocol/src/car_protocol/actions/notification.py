"""Notifications, and who wants them pushed."""

from typing import Final, Protocol

from car_protocol.notifications.notifier import Notifier
from car_protocol.push.subscriptions import SubscriptionDesk
from car_protocol.rooms.hub import Peer, Room
from car_protocol.rooms.publisher import Publisher
from car_protocol.rooms.replicas import FarPeer, Replicas
from car_protocol.server import Counters


class NotificationPorts(Protocol):
    """The parts that notifications need."""

    counters: Counters
    notifier: Notifier
    publisher: Publisher
    replicas: Replicas
    subscriptions: SubscriptionDesk


def notify(server: NotificationPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`P<type><text>` goes to everybody who watches, as it is, into the history and to who subscribed.

    It is no state that greets later apps.
    """
    if room.car is not None:
        server.publisher.publish(room, message)
    else:
        server.publisher.publish_outside_sessions(room, message)
    room.tell_watchers(message, now)
    server.notifier.notify(room.vehicle, message[1:], now)


ECHO_WITHIN: Final = 5.0
"""Seconds in which Redis returns a publication to the replica that made it, if it returns it at all."""


def notify_as_watcher(server: NotificationPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """Take `P` from an app or a batch client for a notification of its vehicle (clients/notify.pl of the reference does that).

    A replica with the car does not subscribe to the vehicle's messages channel: it receives the message by itself. Every other
    replica does, this one too: the watchers here must not receive its own publication a second time.
    """
    if isinstance(peer, FarPeer):
        room.tell_watchers(message, now)
        return
    if room.car is None:
        room.echoes.expect(message, now, until=now + ECHO_WITHIN)
        if room.has_car:
            server.replicas.send_to_car(room, peer, message)
    notify(server, room, peer, message, now)


def subscribe(server: NotificationPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`p<app id>,<type>,…` asks to have notifications pushed; there is no answer (manual, message 0x70)."""
    if not server.subscriptions.ask(room, message[1:]):
        server.counters.ignored += 1
