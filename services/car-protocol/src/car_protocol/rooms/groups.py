"""Groups: cars tell where they are to every app that knows the group's name, across owners (manual, messages 0x67 and 0x47).

A group is what cars and apps that are connected now make of it, wherever they are; nothing of it is stored. Updates are sent
at once and in order. A group has a rate of bytes, since any car that has its name sends to the apps of all others in it: past
the rate, and while a subscriber is behind, only the newest update of each car is kept, and sent later. Every replica with a
member of a group subscribes to the group's channel: its updates, and requests for the newest ones.
"""

import asyncio
from functools import partial
from typing import Final, TypeVar

from car_protocol.rooms.hub import Peer
from car_protocol.rooms.publisher import Publisher
from car_protocol.rooms.replicas import Replicas
from ovms.bus import groups as words
from ovms.bus.channels import group_channel
from ovms.bus.subscriptions import Listener, Subscriptions

Value = TypeVar("Value")

LONGEST_NAME: Final = 64
LONGEST_UPDATE: Final = 1024
"""Bytes of a car's message; the firmware sends some 100."""
BYTES_A_SECOND: Final = 32 * 1024
"""Of one group at one replica: 300 cars that send once a second."""
AGAIN: Final = 0.1
"""Seconds after which pending updates of a group past its rate are tried again."""
MOST_PER_PEER: Final = 32
"""Groups that one car updates or one app subscribes to; the firmware knows two."""
REQUESTS_A_SECOND: Final = 1
"""Of one peer for the newest updates of a group, each of which may be answered by many; `MOST_PER_PEER` may come at once."""


class _Bucket:
    """A number that fills up to `size`, by `per_second`."""

    __slots__ = ("_at", "_left", "_per_second", "_size")

    def __init__(self, size: float, per_second: float, now: float) -> None:
        self._size = self._left = size
        self._per_second = per_second
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` where there is as much."""
        self._left = min(self._size, self._left + (now - self._at) * self._per_second)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


class Groups:
    """The newest update of each local car in each group, and the local subscribers."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, publisher: Publisher, subscriptions: Subscriptions, replicas: Replicas
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._subscriptions = subscriptions
        self._replicas = replicas
        self._updates: dict[bytes, dict[Peer, bytes]] = {}
        self._subscribers: dict[bytes, dict[Peer, None]] = {}
        self._of_peer: dict[Peer, set[bytes]] = {}
        self._heard: set[bytes] = set()
        """Groups whose channel is heard by now."""
        self._asking: dict[bytes, dict[Peer, None]] = {}
        self._rates: dict[bytes, _Bucket] = {}
        self._pending: dict[bytes, dict[bytes, tuple[bytes, bool]]] = {}
        """By group and vehicle: the newest update past the group's rate, and whether it is of a car here."""
        self._behind: dict[Peer, dict[tuple[bytes, bytes], bytes]] = {}
        """By subscriber that reads too slowly, group and vehicle: the newest update."""
        self._requests: dict[Peer, _Bucket] = {}

    def update(self, car: Peer, group: bytes, message: bytes) -> None:
        """Keep a car's update, in the form that subscribers get, and send it to them."""
        if self._join(car, group):
            self._updates.setdefault(group, {})[car] = message
            self._send(group, message, is_local=True)

    def subscribe(self, app: Peer, group: bytes) -> None:
        """Let an app hear a group from now on."""
        if self._join(app, group):
            self._subscribers.setdefault(group, {})[app] = None

    def ask(self, peer: Peer, group: bytes, now: float) -> None:
        """Send the newest update of every car in a group to a peer here, unless it has asked too often."""
        if not self._requests.setdefault(peer, _Bucket(MOST_PER_PEER, REQUESTS_A_SECOND, now)).take(1, now):
            return
        for message in self._updates.get(group, {}).values():
            peer.send(message, now)
        if group in self._heard or peer not in self._subscribers.get(group, ()):
            self._ask_others(peer, group)
        else:
            # First hear, then ask: what comes between the two would be missed otherwise.
            self._asking.setdefault(group, {})[peer] = None

    def caught_up(self, subscriber: Peer) -> None:
        """Send what a subscriber has missed while it was behind."""
        now = self._loop.time()
        for message in self._behind.pop(subscriber, {}).values():
            subscriber.send(message, now)

    def leave(self, peer: Peer) -> None:
        """Forget a car's updates or an app's subscriptions."""
        self._behind.pop(peer, None)
        self._requests.pop(peer, None)
        for group in self._of_peer.pop(peer, ()):
            _remove(self._updates, group, peer)
            _remove(self._subscribers, group, peer)
            _remove(self._asking, group, peer)
            if group not in self._updates and group not in self._subscribers:
                del self._rates[group]
                self._pending.pop(group, None)
                self._heard.discard(group)
                self._subscriptions.leave(group_channel(group))

    def _join(self, peer: Peer, group: bytes) -> bool:
        groups = self._of_peer.setdefault(peer, set())
        if group in groups:
            return True
        if len(groups) >= MOST_PER_PEER:
            return False
        groups.add(group)
        if group not in self._rates:
            self._rates[group] = _Bucket(BYTES_A_SECOND, BYTES_A_SECOND, self._loop.time())
            listener = Listener(partial(self._hear, group), partial(self._hears, group))
            self._subscriptions.hear(group_channel(group), listener)
        return True

    def _send(self, group: bytes, message: bytes, *, is_local: bool) -> None:
        if (pending := self._pending.get(group)) is not None:
            pending[_vehicle(message)] = message, is_local  # in the place of an older one, so that no car waits for another
        elif self._rates[group].take(len(message), self._loop.time()):
            self._deliver(group, message, is_local=is_local)
        else:
            self._pending[group] = {_vehicle(message): (message, is_local)}
            self._loop.call_later(AGAIN, self._send_pending, group)

    def _send_pending(self, group: bytes) -> None:
        pending, now = self._pending.get(group, {}), self._loop.time()
        for vehicle, (message, is_local) in list(pending.items()):
            if not self._rates[group].take(len(message), now):
                self._loop.call_later(AGAIN, self._send_pending, group)
                return
            del pending[vehicle]
            self._deliver(group, message, is_local=is_local)
        self._pending.pop(group, None)

    def _deliver(self, group: bytes, message: bytes, *, is_local: bool) -> None:
        now = self._loop.time()
        for subscriber in self._subscribers.get(group, ()):
            if subscriber.is_behind:
                self._behind.setdefault(subscriber, {})[group, _vehicle(message)] = message
            else:
                subscriber.send(message, now)
        # Not before the channel is subscribed to: a request for updates that came before that would be missed.
        if is_local and group in self._heard:
            self._publish(group, message)

    def _publish(self, group: bytes, message: bytes) -> None:
        self._publisher.publish_on(group_channel(group), words.update(self._replicas.name, message))

    # ---- cars and apps elsewhere

    def _hears(self, group: bytes) -> None:
        asking = self._asking.pop(group, {})
        if group in self._heard:
            # Redis was away, and nobody has heard what was said meanwhile.
            asking = self._subscribers.get(group, {})
        else:
            for message in self._updates.get(group, {}).values():
                self._publish(group, message)
        self._heard.add(group)
        for peer in asking:
            self._ask_others(peer, group)

    def _ask_others(self, peer: Peer, group: bytes) -> None:
        self._publisher.publish_on(group_channel(group), words.ask(self._replicas.address(peer)))

    def _hear(self, group: bytes, body: bytes) -> None:
        match words.read_group(body):
            case words.Update(replica, message) if replica != self._replicas.name:
                self._send(group, message, is_local=False)
            case words.Ask(asker) if asker.replica != self._replicas.name:
                for message in self._updates.get(group, {}).values():
                    self._replicas.send(asker, message)
            case _:
                pass  # our own


def _vehicle(message: bytes) -> bytes:
    """The vehicle of an update, in the form that subscribers get: `g<vehicle>,<GROUP>,<data>`."""
    return message.partition(b",")[0]


def _remove(groups: dict[bytes, dict[Peer, Value]], group: bytes, peer: Peer) -> None:
    members = groups.get(group, {})
    members.pop(peer, None)
    if not members:
        groups.pop(group, None)
