"""What all connections of this replica share."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from car_protocol.logins.desk import LoginDesk
from car_protocol.logins.gate import Gate
from car_protocol.logins.users import UserDesk
from car_protocol.notifications.notifier import Notifier
from car_protocol.push.outbox import Outbox
from car_protocol.push.subscriptions import SubscriptionDesk
from car_protocol.rooms.groups import Groups
from car_protocol.rooms.hub import Hub, Peer, Room
from car_protocol.rooms.publisher import Publisher
from car_protocol.rooms.replicas import Replicas
from car_protocol.settings import Settings
from car_protocol.storage.archive import Archive
from car_protocol.storage.recorder import Recorder
from car_protocol.storage.sampler import Sampler
from car_protocol.storage.traffic import TrafficMeter
from car_protocol.storage.trail import Trail
from car_protocol.wheel import Wheel
from ovms.identity import Role
from ovms.metrics import Histogram
from ovms.protocol import Timeouts
from ovms.shares import NetworkShares


class Closable(Protocol):
    """An open connection."""

    @property
    def is_in_session(self) -> bool:
        """Whether it has logged in, and has not ended."""

    def close(self, reason: str) -> None:
        """End the connection after what was sent."""

    def take_traffic(self) -> None:
        """Give the bytes that were added up to the meter."""


class Writable(Protocol):
    """A connection that something was sent to."""

    def write(self) -> None:
        """Write what it was sent in this turn of the loop."""


class Readable(Protocol):
    """A connection that is not read for a while."""

    def resume(self) -> None:
        """Read on."""


@dataclass(slots=True)
class Counters:
    """Plain numbers, read when somebody scrapes: a metric object would cost more than the message that it counts."""

    received: list[int] = field(default_factory=lambda: [0] * 256)
    """Messages by the byte of their code."""
    sent: list[int] = field(default_factory=lambda: [0] * 256)
    logins: Counter[str] = field(default_factory=Counter)
    """By result."""
    login_seconds: Histogram = field(default_factory=Histogram)
    """From a login to its answer."""
    closed: Counter[str] = field(default_factory=Counter)
    """By reason's type."""
    ignored: int = 0
    """Messages that no rule knows, or that are malformed."""
    unstored: int = 0
    """State messages too long to keep."""


@dataclass(slots=True)
class Server:
    """The parts, made by the composition root."""

    settings: Settings
    timeouts: Timeouts
    version: bytes
    loop: asyncio.AbstractEventLoop
    hub: Hub
    replicas: Replicas
    groups: Groups
    recorder: Recorder
    sampler: Sampler
    publisher: Publisher
    notifier: Notifier
    subscriptions: SubscriptionDesk
    outbox: Outbox
    desk: LoginDesk
    users: UserDesk
    archive: Archive
    traffic: TrafficMeter
    trail: Trail
    gate: Gate
    shares: NetworkShares
    wheel: Wheel
    routes: Mapping[Role, tuple[Callable[..., None], ...]]
    """What messages cause (`routing`)."""
    counters: Counters = field(default_factory=Counters)
    connections: set[Closable] = field(default_factory=set)
    _waiting_for_recorder: list[Readable] = field(default_factory=list)
    _unwritten: list[Writable] = field(default_factory=list)

    def receive(self, room: Room, peer: Peer, message: bytes, now: float) -> None:
        """Act on a message of a peer."""
        self.routes[peer.role][message[0]](self, room, peer, message, now)

    def came(self, connection: Closable) -> None:
        """A peer has connected."""
        self.connections.add(connection)

    def went(self, connection: Closable) -> None:
        """A peer's connection has ended."""
        self.connections.discard(connection)

    @property
    def logs_in(self) -> bool:
        """Whether somebody is about to log in; to close him now could keep a car away until its owner comes."""
        return bool(self.gate.inside or self.desk.waiting or self.users.waiting)

    def write_soon(self, connection: Writable) -> None:
        """Let a connection write before the loop looks at its sockets again."""
        if not self._unwritten:
            self.loop.call_soon(self._write_all)
        self._unwritten.append(connection)

    def _write_all(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        for connection in unwritten:
            connection.write()

    def waits_for_recorder(self, connection: Readable) -> None:
        """A connection is read no more until the recorder has room."""
        self._waiting_for_recorder.append(connection)

    def recorder_has_room(self) -> None:
        """Read on."""
        waiting, self._waiting_for_recorder = self._waiting_for_recorder, []
        for connection in waiting:
            connection.resume()
