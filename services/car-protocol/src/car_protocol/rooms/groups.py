"""Groups: cars tell where they are to every app that knows the group's name, across owners (manual, messages 0x67 and 0x47).

A group is what cars and apps that are connected now make of it, wherever they are; nothing of it is stored. Updates go out on a
tick, so that a car that sends many costs its group no more than one a tick. Every replica with a member of a group hears the
group's channel: its updates, and those who ask for the newest ones.
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

TICK: Final = 0.1
"""Where cars are may be that old; and two that speak at the same moment are within one tick on a busy machine too."""
LONGEST_NAME: Final = 64
MOST_PER_PEER: Final = 32
"""Groups that one car updates or one app subscribes to; the firmware knows two."""


class Groups:
    """The newest update of each car here in each group, and who hears them here."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, publisher: Publisher, subscriptions: Subscriptions, replicas: Replicas
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._subscriptions = subscriptions
        self._replicas = replicas
        self._changed: dict[bytes, dict[Peer, bytes]] = {}
        self._updates: dict[bytes, dict[Peer, bytes]] = {}
        self._subscribers: dict[bytes, dict[Peer, None]] = {}
        self._of_peer: dict[Peer, set[bytes]] = {}
        self._heard: set[bytes] = set()
        """Groups whose channel is heard by now."""
        self._asking: dict[bytes, dict[Peer, None]] = {}

    def update(self, car: Peer, group: bytes, message: bytes) -> None:
        """Keep a car's update, as subscribers get it, and tell them soon."""
        if not self._join(car, group):
            return
        self._updates.setdefault(group, {})[car] = message
        if not self._changed:
            self._loop.call_later(TICK, self._tell)
        self._changed.setdefault(group, {})[car] = message

    def subscribe(self, app: Peer, group: bytes) -> None:
        """Let an app hear a group from now on."""
        if self._join(app, group):
            self._subscribers.setdefault(group, {})[app] = None

    def ask(self, peer: Peer, group: bytes, now: float) -> None:
        """Send the newest update of every car in a group to a peer here."""
        for message in self._updates.get(group, {}).values():
            peer.send(message, now)
        if group in self._heard or peer not in self._subscribers.get(group, ()):
            self._ask_others(peer, group)
        else:
            # First hear, then ask: what comes between the two would be missed otherwise.
            self._asking.setdefault(group, {})[peer] = None

    def leave(self, peer: Peer) -> None:
        """Forget a car's updates or an app's subscriptions."""
        for group in self._of_peer.pop(peer, ()):
            _remove(self._updates, group, peer)
            _remove(self._subscribers, group, peer)
            _remove(self._asking, group, peer)
            if group not in self._updates and group not in self._subscribers:
                self._heard.discard(group)
                self._subscriptions.leave(group_channel(group))

    def _join(self, peer: Peer, group: bytes) -> bool:
        groups = self._of_peer.setdefault(peer, set())
        if group in groups:
            return True
        if len(groups) >= MOST_PER_PEER:
            return False
        groups.add(group)
        if group not in self._updates and group not in self._subscribers:
            listener = Listener(partial(self._hear, group), partial(self._hears, group))
            self._subscriptions.hear(group_channel(group), listener)
        return True

    def _tell(self) -> None:
        changed, self._changed = self._changed, {}
        for group, updates in changed.items():
            # The newest first, as the reference was seen to do it (conformance, `groups`).
            newest_first = list(reversed(updates.values()))
            self._tell_subscribers(group, newest_first)
            for message in newest_first:
                self._publisher.publish_on(group_channel(group), words.update(self._replicas.name, message))

    def _tell_subscribers(self, group: bytes, messages: list[bytes]) -> None:
        now = self._loop.time()
        for subscriber in self._subscribers.get(group, ()):
            for message in messages:
                subscriber.send(message, now)

    # ---- cars and apps elsewhere

    def _hears(self, group: bytes) -> None:
        asking = self._asking.pop(group, {})
        if group in self._heard:
            # Redis was away, and nobody has heard what was said meanwhile.
            asking = self._subscribers.get(group, {})
        self._heard.add(group)
        for peer in asking:
            self._ask_others(peer, group)

    def _ask_others(self, peer: Peer, group: bytes) -> None:
        self._publisher.publish_on(group_channel(group), words.ask(self._replicas.address(peer)))

    def _hear(self, group: bytes, body: bytes) -> None:
        match words.read_group(body):
            case words.Update(replica, message) if replica != self._replicas.name:
                self._tell_subscribers(group, [message])
            case words.Ask(asker) if asker.replica != self._replicas.name:
                for message in self._updates.get(group, {}).values():
                    self._replicas.send(asker, message)
            case _:
                pass  # our own


def _remove(groups: dict[bytes, dict[Peer, Value]], group: bytes, peer: Peer) -> None:
    members = groups.get(group, {})
    members.pop(peer, None)
    if not members:
        groups.pop(group, None)
