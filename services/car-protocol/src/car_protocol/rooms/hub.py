"""Who is connected to a vehicle: here, in a room with its car, its apps and its batch clients, and how many elsewhere."""

import math
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ovms.bus.presence import NO_SESSIONS, Connected, HttpWatchers
from ovms.db.logins import StoredMessage, Vehicle
from ovms.identity import Role, VehicleName

AGE_ZERO: Final = b"T0"
"""Follows every state that is sent on: how many seconds ago the car was heard."""


def code_of(message: bytes) -> int:
    """The code of a state as it is sent on, also where all else of it is sealed."""
    return message[2] if message[:2] == b"EM" and len(message) > 2 else message[0]


class Hearer(Protocol):
    """Who can be told something."""

    def send(self, message: bytes, now: float) -> None:
        """Send a message: one byte of code, then the data."""


class Peer(Hearer, Protocol):
    """Whoever has logged in: a connection here, or at another replica."""

    role: Role

    @property
    def is_behind(self) -> bool:
        """Whether it reads more slowly than it is sent to."""

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


class Unheard:
    """Keeps what a watcher may have to be told.

    Args:
        since: the Unix time from which on he hears his car.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self.messages: list[bytes] = []
        self.told: Mapping[int, StoredMessage] = {}
        """What he was greeted with meanwhile, by code."""
        self.session: float = math.inf
        """The epoch up to which he was: what later sessions say is later than his greeting."""
        self.ended_by = 0
        """The session of the car that has begun here since, which he hears."""

    def send(self, message: bytes, now: float) -> None:  # noqa: ARG002
        """Keep a message."""
        self.messages.append(message)

    def states(self) -> list[list[bytes]]:
        """Each state with what follows it, the last of which is its age."""
        states, begins = [], 0
        for end, message in enumerate(self.messages, 1):
            if message == AGE_ZERO:
                states.append(self.messages[begins:end])
                begins = end
        return states


class Heard:
    """What all who watch a car here have been told of one code: the last states, and when the newest of them came.

    A car may say much, and of each code: of a state no more is kept than its hash.
    """

    __slots__ = ("at", "states")

    def __init__(self) -> None:
        self.states = array("q")
        self.at = -math.inf

    def note(self, state: bytes, at: float) -> None:
        """Add one; the time is that of the loop."""
        if len(self.states) == MOST_HEARD:
            del self.states[0]
        self.states.append(hash(state))
        self.at = at


class Echoes:
    """Notifications that this replica has published and sent to its watchers, which Redis may return to it."""

    __slots__ = ("_expected",)

    def __init__(self) -> None:
        # Made with the first one: every room has echoes, and few rooms ever expect any.
        self._expected: deque[tuple[int, float]] | None = None

    def expect(self, message: bytes, now: float, *, until: float) -> None:
        """Expect a message once, for a while: Redis may lose it, and the next equal one is then another's."""
        expected = self._expected = self._expected or deque(maxlen=MOST_ECHOES)
        while expected and expected[0][1] <= now:
            expected.popleft()
        expected.append((hash(message), until))

    def take(self, message: bytes, now: float) -> bool:
        """Return whether a message was expected, and expect it once less."""
        if self._expected is None:
            return False
        for place, (digest, until) in enumerate(self._expected):
            if digest == hash(message) and now < until:
                del self._expected[place]
                return True
        return False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Who is connected to a vehicle at other replicas."""

    session: int = 0
    """The epoch of the car's newest session there, 0 where there is none."""
    replica: str = ""
    """Who has it."""
    outranks: bool = False
    """Its name is greater than that of this replica: of two sessions with one number it has the newer one."""
    apps: int = 0
    http: HttpWatchers = NO_SESSIONS
    """HTTP sessions are at no replica of this service."""
    at: int = 0
    """When that was so, in microseconds of Redis' clock."""

    @property
    def watching(self) -> int:
        """Apps that are not here."""
        return self.apps + self.http.count


MOST_HEARD: Final = 16
MOST_ECHOES: Final = 1000
CLOCK_STEP: Final = 60_000_000
"""Microseconds; what is told of a time before is taken for news after Redis' clock was set back."""


class Room:
    """One vehicle, while somebody is connected to it or something of it waits to be written."""

    __slots__ = (
        "apps",
        "batch",
        "car",
        "commands",
        "echoes",
        "elsewhere",
        "epoch",
        "heard",
        "is_known",
        "learning",
        "message_number",
        "name",
        "paranoid_token",
        "publish_head",
        "vehicle",
        "vehicle_id",
        "watchers",
    )

    def __init__(self, vehicle: Vehicle, publish_head: bytes) -> None:
        self.vehicle = vehicle.key
        self.vehicle_id = vehicle.vehicle_id
        self.name = vehicle.name
        self.publish_head = publish_head
        """The beginning of every publication, made once (see `publisher`)."""
        self.paranoid_token = vehicle.paranoid_token
        """The name of the key that car and apps seal with, empty outside paranoid mode."""
        self.car: Peer | None = None
        self.watchers: tuple[Peer, ...] = ()
        """Apps and batch clients, in the order in which they came; a tuple, since it is read for every message."""
        self.apps = 0
        self.batch = 0
        self.epoch = 0
        """The session of the car that is or was here, as Redis numbered it."""
        self.message_number = 0
        """That of the last message of the session which was published, or dropped by the publisher; 0 before the first."""
        self.elsewhere = Elsewhere()
        self.echoes = Echoes()
        self.heard: defaultdict[int, Heard] = defaultdict(Heard)
        """By code."""
        self.is_known = False
        """Whether the watchers here have been told whether the car is connected."""
        self.learning: dict[Peer, Unheard] = {}
        """Watchers of a car elsewhere who may be told, by its replica, what it has said so far: then they need not hear it."""
        self.commands: list[OpenCommand] = []
        """Those that wait for an answer, the oldest first."""

    @property
    def has_car(self) -> bool:
        """Whether the car is connected, here or elsewhere."""
        return self.car is not None or self.elsewhere.session > 0

    def tell_watchers(self, message: bytes, now: float) -> None:
        """Send a message to every app and batch client here."""
        for watcher in self.watchers:
            watcher.send(message, now)

    def hearing(self) -> Sequence[Hearer]:
        """Who hears the states of a car elsewhere."""
        return [self.learning.get(watcher, watcher) for watcher in self.watchers] if self.learning else self.watchers

    def tell_car_the_count(self, now: float) -> None:
        """Tell the car how many apps watch it, HTTP sessions among them (manual, message 0x5A)."""
        if self.car is not None:
            self.car.send(b"Z%d" % (self.apps + self.elsewhere.watching), now)

    def connected(self) -> Connected:
        """Who is connected here."""
        return Connected(self.epoch if self.car is not None else 0, self.apps, self.batch)

    def is_empty(self) -> bool:
        """Whether nobody is connected here."""
        return self.car is None and not self.watchers


class Hub:
    """All rooms of this replica.

    Args:
        publish_head: makes the beginning of a vehicle's publications.
        changed: called with a room whose counts have changed.
    """

    def __init__(self, publish_head: Callable[[VehicleName], bytes], changed: Callable[[Room], None]) -> None:
        self._rooms: dict[int, Room] = {}
        self._publish_head = publish_head
        self._changed = changed
        self.takeovers: Counter[str] = Counter()
        """Sessions of cars that newer ones have ended, by where these are."""

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, vehicle: int) -> Room | None:
        """The room of a vehicle, if there is one."""
        return self._rooms.get(vehicle)

    def room(self, vehicle: Vehicle) -> Room:
        """The room of a vehicle."""
        room = self._rooms.get(vehicle.key)
        if room is None:
            room = self._rooms[vehicle.key] = Room(vehicle, self._publish_head(vehicle.name))
        return room

    def renounce(self, vehicle: Vehicle) -> None:
        """A car has gone while it was let in: Redis believes that it is here."""
        self._changed(self._rooms.get(vehicle.key) or Room(vehicle, b""))

    def join_car(self, room: Room, car: Peer, now: float, *, epoch: int, elsewhere: Elsewhere | None = None) -> None:
        """A car has logged in, to a session of this epoch: it is told who watches; the watchers are told that it is here.

        A session of the same car that is still open ends first, as the reference does it: the watchers see it go and come.
        """
        if room.car is not None:
            self._throw_out(room, room.car, "the car has logged in again", "here", now)
        elif room.elsewhere.session:
            room.tell_watchers(b"Z0", now)
        self._rooms.setdefault(room.vehicle, room)
        room.car, room.epoch, room.message_number, room.is_known = car, epoch, 0, True
        room.elsewhere = _without_former(_newer(room.elsewhere, elsewhere), epoch)
        for unheard in room.learning.values():
            unheard.ended_by = epoch
            unheard.messages.clear()  # of the former session: it must not come after this one's
        room.learning.clear()
        room.tell_watchers(b"Z1", now)
        room.tell_car_the_count(now)
        self._changed(room)
        if room.elsewhere.session:
            self._give_way(room, car, now)

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
            if not room.watchers:
                room.heard.clear()
        else:
            return
        room.learning.pop(peer, None)
        if room.is_empty():
            self._rooms.pop(room.vehicle, None)
        self._changed(room)

    def changed_elsewhere(self, room: Room, elsewhere: Elsewhere, now: float) -> None:
        """Others have told who is connected to a vehicle there.

        Where they have a newer session of the car, the one here ends.
        """
        if _newer(room.elsewhere, elsewhere) is room.elsewhere:
            return
        former, room.elsewhere = room.elsewhere, _without_former(elsewhere, room.epoch)
        if room.car is None:
            self._tell_of_the_car(room, former.session, now)
        elif room.elsewhere.session:
            self._give_way(room, room.car, now)
        elif elsewhere.watching != former.watching:
            room.tell_car_the_count(now)

    def followed(self, sessions: Mapping[int, int], now: float) -> None:
        """Close the cars whose sessions are not later than these: PostgreSQL accepts no states of theirs, or not all.

        Other replicas report their sessions, except one that has ended while Redis was unavailable.

        Args:
            sessions: another replica's, whose states keep those of a car here from being written, by vehicle.
        """
        for vehicle, session in sessions.items():
            room = self._rooms.get(vehicle)
            if room is not None and room.car is not None and room.epoch <= session:
                self._throw_out(room, room.car, "another session of the car has followed", "elsewhere", now)

    def _tell_of_the_car(self, room: Room, former: int, now: float) -> None:
        session, was_known, room.is_known = room.elsewhere.session, room.is_known, True
        if not was_known or session == former:
            return  # who waits for his greeting learns it there
        if former:
            room.tell_watchers(b"Z0", now)
        if session:
            room.tell_watchers(b"Z1", now)

    def _give_way(self, room: Room, car: Peer, now: float) -> None:
        self._throw_out(room, car, "the car has logged in elsewhere", "elsewhere", now)
        room.tell_watchers(b"Z1", now)

    def _throw_out(self, room: Room, car: Peer, reason: str, where: str, now: float) -> None:
        self.takeovers[where] += 1
        self.leave(room, car, now)
        car.close(reason)


def _newer(known: Elsewhere, told: Elsewhere | None) -> Elsewhere:
    """Answers and publications come by different ways, so what is told last may be older than what is known.

    Unless Redis' clock was set back: then it is much older.
    """
    return known if told is None or 0 < known.at - told.at < CLOCK_STEP else told


def _without_former(elsewhere: Elsewhere, epoch: int) -> Elsewhere:
    """A session that is not newer than the newest that was here has ended, and only its replica does not know it yet."""
    is_former = (elsewhere.session, elsewhere.outranks) <= (epoch, False)
    return replace(elsewhere, session=0) if elsewhere.session and is_former else elsewhere
