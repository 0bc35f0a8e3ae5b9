"""The parts of car-protocol that a test does not look at, in memory."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from car_protocol.logins.gate import Gate
from car_protocol.notifications.error_codes import ErrorCodes
from car_protocol.notifications.notifier import Notifier
from car_protocol.push.outbox import Outbox
from car_protocol.push.subscriptions import Subscription, read_subscription
from car_protocol.rooms.groups import Groups
from car_protocol.rooms.hub import Peer, Room
from car_protocol.rooms.replicas import Replicas
from car_protocol.routing import ROUTES
from car_protocol.server import Server
from car_protocol.settings import Settings
from car_protocol.storage.recorder import Recorder
from car_protocol.storage.sampler import Sampler
from car_protocol.wheel import Wheel
from fakes.clocks import wall_clock
from fakes.loops import FakeLoop
from fakes.rooms import hub
from fakes.stores import FakeStore
from ovms.bus.subscriptions import Listener
from ovms.identity import Role
from ovms.metrics import Histogram
from ovms.protocol import Login, Timeouts
from ovms.shares import NetworkShares

WALL_OFFSET = 1_700_000_000.0


class FakePublisher:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.bodies: list[tuple[bytes, bytes]] = []
        self.outside_sessions: list[tuple[str, bytes]] = []
        self.published = self.dropped = self.unpublished_bytes = 0
        self.age = Histogram()

    def publish(self, room: Room, message: bytes) -> None:
        room.message_number += 1
        self.messages.append((room.vehicle_id, message))

    def publish_outside_sessions(self, room: Room, message: bytes) -> None:
        self.outside_sessions.append((room.vehicle_id, message))

    def publish_on(self, channel: bytes, body: bytes) -> None:
        self.bodies.append((channel, body))


class FakeChannels:
    """Keeps who listens on which channel."""

    def __init__(self) -> None:
        self.listeners: dict[bytes, Listener] = {}

    def hear(self, channel: bytes, listener: Listener) -> None:
        self.listeners[channel] = listener

    def leave(self, channel: bytes) -> None:
        self.listeners.pop(channel, None)


class FakeDesk:
    """Keeps who asks to be let in."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Login]] = []

    @property
    def waiting(self) -> int:
        return len(self.asked)

    def ask(self, caller: Any, login: Login) -> None:
        self.asked.append((caller, login))


class FakeSubscriptions:
    """Keeps what can be read."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Subscription]] = []

    def ask(self, room: Room, data: bytes) -> bool:
        if asked := read_subscription(data):
            self.asked.append((room.vehicle_id, asked))
        return asked is not None


class FakeArchive:
    """Keeps what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []

    def ask(self, room: Room, peer: Peer, number: int, arguments: bytes, now: float) -> None:
        self.asked.append((number, arguments))


class FakeTraffic:
    """Adds up bytes by vehicle and role."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[int, Role, str]] = Counter()

    def add(self, vehicle: int, role: Role, *, received: int, sent: int) -> None:
        self.sums[vehicle, role, "received"] += received
        self.sums[vehicle, role, "sent"] += sent


class FakeTrail:
    """Keeps which commands apps give."""

    def __init__(self) -> None:
        self.given: list[tuple[int, int | None]] = []

    def note(self, vehicle: int, number: int | None, at: float) -> None:
        self.given.append((vehicle, number))


def make_server(*, loop: FakeLoop | None = None, **settings: Any) -> Server:
    """A server of real rooms, rows and timers, over fakes of what has a socket. Its store is `server.recorder._store`."""
    loop = loop or FakeLoop()
    chosen = Settings(database_url="postgresql://", redis_url="redis://", secret_keys="k:", **settings)
    recorder = Recorder(
        FakeStore(),
        monotonic=loop.time,
        clock=wall_clock(WALL_OFFSET),
        tick=0.0,
        limit=chosen.pending_bytes,
        keeps_state_history=False,
        resumed=lambda: server.recorder_has_room(),
    )
    publisher, channels, rooms = FakePublisher(), FakeChannels(), hub()
    replicas = Replicas(
        cast("Any", publisher),
        cast("Any", channels),
        rooms,
        say=lambda room, peer, message, now: server.receive(room, peer, message, now),
        pending=recorder.pending,
        monotonic=loop.time,
    )
    replicas.renamed("here")
    server = Server(
        settings=chosen,
        timeouts=Timeouts(),
        version=b"9.9",
        loop=cast("Any", loop),
        hub=rooms,
        replicas=replicas,
        groups=Groups(cast("Any", loop), cast("Any", publisher), cast("Any", channels), replicas),
        recorder=recorder,
        sampler=Sampler(recorder.put_sample, recorder.wall, days=chosen.track_days, interval=chosen.track_interval),
        publisher=cast("Any", publisher),
        notifier=Notifier(recorder.put_notification, recorder.wall, days=chosen.notification_days, error_codes=ErrorCodes()),
        subscriptions=cast("Any", FakeSubscriptions()),
        outbox=Outbox(cast("Any", None), {}, attempts=1, jitter=lambda: 0.0),
        desk=cast("Any", FakeDesk()),
        users=cast("Any", FakeDesk()),
        archive=cast("Any", FakeArchive()),
        traffic=cast("Any", FakeTraffic()),
        trail=cast("Any", FakeTrail()),
        gate=Gate(chosen.logins_per_address),
        shares=NetworkShares(chosen.connections),
        wheel=Wheel(cast("Any", loop)),
        routes=ROUTES,
    )
    return server
