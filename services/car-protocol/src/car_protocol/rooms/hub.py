"""Who is connected here: a room a vehicle, with its car, its apps and its batch clients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ovms.db.logins import Vehicle
from ovms.identity import Role


class Peer(Protocol):
    """A connection that has logged in."""

    role: Role

    def send(self, message: bytes, now: float) -> None:
        """Send a message: one byte of code, then the data."""

    async def has_read(self) -> None:
        """Wait until the peer has read most of what was sent, or has gone."""

    def close(self, reason: str) -> None:
        """End the connection after what was sent."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenCommand:
    """A command that went to the car and has no answer yet."""

    number: int
    asker: Peer
    ends_at: float


class Room:
    """One vehicle, while somebody is connected to it or something of it waits to be written."""

    __slots__ = (
        "apps",
        "batch",
        "car",
        "commands",
        "epoch",
        "http",
        "http_until",
        "paranoid_token",
        "publish_head",
        "vehicle",
        "vehicle_id",
        "watchers",
    )

    def __init__(self, vehicle: Vehicle, publish_head: bytes) -> None:
        self.vehicle = vehicle.key
        self.vehicle_id = vehicle.vehicle_id
        self.publish_head = publish_head
        """The beginning of every publication, made once (see `publisher`)."""
        self.paranoid_token = vehicle.paranoid_token
        """The name of the key that car and apps seal with, empty outside paranoid mode."""
        self.car: Peer | None = None
        self.watchers: tuple[Peer, ...] = ()
        """Apps and batch clients, in the order in which they came; a tuple, since it is read for every message."""
        self.apps = 0
        self.batch = 0
        self.http = 0
        """HTTP sessions that watch the car."""
        self.http_until = 0.0
        """The Unix time at which the first of their leases ends."""
        self.epoch = 0
        """The car's session, as Redis numbered it."""
        self.commands: list[OpenCommand] = []
        """Those that wait for an answer, the oldest first."""

    def tell_watchers(self, message: bytes, now: float) -> None:
        """Send a message to every app and batch client."""
        for watcher in self.watchers:
            watcher.send(message, now)

    def tell_car_the_count(self, now: float) -> None:
        """Tell the car how many apps watch it, HTTP sessions among them (manual, message 0x5A)."""
        if self.car is not None:
            self.car.send(b"Z%d" % (self.apps + self.http), now)

    def counts(self) -> tuple[int, int, int]:
        """Cars, apps and batch clients connected here."""
        return int(self.car is not None), self.apps, self.batch

    def is_empty(self) -> bool:
        """Whether nobody is connected here."""
        return self.car is None and not self.watchers


class Hub:
    """All rooms of this replica.

    Args:
        publish_head: makes the beginning of a vehicle's publications.
        changed: called with a room whose counts have changed.
    """

    def __init__(self, publish_head: Callable[[str], bytes], changed: Callable[[Room], None]) -> None:
        self._rooms: dict[int, Room] = {}
        self._publish_head = publish_head
        self._changed = changed

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def __len__(self) -> int:
        return len(self._rooms)

    def room(self, vehicle: Vehicle) -> Room:
        """The room of a vehicle."""
        room = self._rooms.get(vehicle.key)
        if room is None:
            room = self._rooms[vehicle.key] = Room(vehicle, self._publish_head(vehicle.vehicle_id))
        return room

    def join_car(self, room: Room, car: Peer, now: float) -> None:
        """A car has logged in: it is told who watches; the watchers are told that it is here.

        A session of the same car that is still open ends first, as the reference does it: the watchers see it go and come.
        """
        former = room.car
        if former is not None:
            self.leave(room, former, now)
            former.close("the car has logged in again")
            self._rooms.setdefault(room.vehicle, room)
        room.car = car
        room.tell_watchers(b"Z1", now)
        room.tell_car_the_count(now)
        self._changed(room)

    def join_watcher(self, room: Room, watcher: Peer, now: float) -> None:
        """An app or a batch client has logged in: the car is told of an app, never of a batch client."""
        room.watchers = (*room.watchers, watcher)
        if watcher.role is Role.APP:
            room.apps += 1
            room.tell_car_the_count(now)
        else:
            room.batch += 1
        self._changed(room)

    def leave(self, room: Room, peer: Peer, now: float) -> None:
        """A connection has gone; one that was replaced before changes nothing."""
        if peer is room.car:
            room.car = None
            room.commands.clear()
            room.tell_watchers(b"Z0", now)
        elif peer in room.watchers:
            room.watchers = tuple(other for other in room.watchers if other is not peer)
            if peer.role is Role.APP:
                room.apps -= 1
                room.tell_car_the_count(now)
            else:
                room.batch -= 1
        else:
            return
        if room.is_empty():
            self._rooms.pop(room.vehicle, None)
        self._changed(room)

    def watched_by_http(self, room: Room, count: int, until: float, now: float) -> None:
        """The HTTP sessions that watch a car have changed."""
        room.http_until = until
        if room.http != count:
            room.http = count
            room.tell_car_the_count(now)
