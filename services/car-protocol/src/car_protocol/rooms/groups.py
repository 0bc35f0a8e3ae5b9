"""Groups: cars tell where they are to every app that knows the group's name, across owners (manual, messages 0x67 and 0x47).

A group is what cars and apps that are connected now make of it; nothing of it is stored. Updates go out on a tick, so that a
car that sends many costs its group no more than one a tick.
"""

import asyncio
from typing import Final, TypeVar

from car_protocol.rooms.hub import Peer

Value = TypeVar("Value")

TICK: Final = 0.02
LONGEST_NAME: Final = 64
MOST_PER_PEER: Final = 32
"""Groups that one car updates or one app subscribes to; the firmware knows two."""


class Groups:
    """The newest update of each car in each group, and who hears them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed: dict[bytes, dict[Peer, bytes]] = {}
        self._updates: dict[bytes, dict[Peer, bytes]] = {}
        self._subscribers: dict[bytes, dict[Peer, None]] = {}
        self._of_peer: dict[Peer, set[bytes]] = {}

    def update(self, car: Peer, group: bytes, message: bytes) -> None:
        """Keep a car's update, as subscribers get it, and tell them soon."""
        if not self._remember(car, group):
            return
        self._updates.setdefault(group, {})[car] = message
        if group in self._subscribers:
            if not self._changed:
                self._loop.call_later(TICK, self._tell)
            self._changed.setdefault(group, {})[car] = message

    def subscribe(self, app: Peer, group: bytes) -> None:
        """Let an app hear a group from now on."""
        if self._remember(app, group):
            self._subscribers.setdefault(group, {})[app] = None

    def updates(self, group: bytes) -> list[bytes]:
        """The newest updates of the cars in a group."""
        return list(self._updates.get(group, {}).values())

    def leave(self, peer: Peer) -> None:
        """Forget a car's updates or an app's subscriptions."""
        for group in self._of_peer.pop(peer, ()):
            _remove(self._updates, group, peer)
            _remove(self._subscribers, group, peer)

    def _tell(self) -> None:
        changed, self._changed = self._changed, {}
        now = self._loop.time()
        for group, updates in changed.items():
            # The newest first, as the reference was seen to do it (conformance, `groups`).
            newest_first = list(reversed(updates.values()))
            for subscriber in self._subscribers.get(group, ()):
                for message in newest_first:
                    subscriber.send(message, now)

    def _remember(self, peer: Peer, group: bytes) -> bool:
        groups = self._of_peer.setdefault(peer, set())
        if group not in groups and len(groups) >= MOST_PER_PEER:
            return False
        groups.add(group)
        return True


def _remove(groups: dict[bytes, dict[Peer, Value]], group: bytes, peer: Peer) -> None:
    members = groups.get(group, {})
    members.pop(peer, None)
    if not members:
        groups.pop(group, None)
