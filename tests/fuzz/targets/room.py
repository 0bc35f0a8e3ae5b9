"""Connections of cars, apps and batch clients at a real `Server` over fakes: any message of anybody, in any order.

What they hear is read by another end of the protocol; nobody hears of another's vehicle but through a group.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, cast

from car_protocol.actions.commands import MOST_OPEN
from car_protocol.connections.connection import Connection
from car_protocol.rooms.groups import LONGEST_NAME, MOST_PER_PEER
from car_protocol.rooms.hub import Room
from car_protocol.server import Server
from fakes.loops import FakeLoop
from fakes.rooms import vehicle
from fakes.servers import make_server
from fakes.stores import FakeStore
from fakes.transports import FakeTransport
from fuzz.script import FLOOD, read_steps
from fuzz.targets.sessions import CLIENT_TOKEN, SECRET, SERVER_TOKEN, check_lines, check_message
from ovms.db.writer import HistoryRow
from ovms.identity import Role
from ovms.protocol import ClientSession
from ovms.protocol.cipher import Rc4Lines, session_key

MOST_TO_A_CAR = 1023
"""Bytes of a line and its end: the firmware keeps what it receives in 1,024."""

LARGEST = 2**63
OF_ITSELF = b"AZgh"
"""What may be heard when nobody has said anything: pings, who has gone, groups, and acknowledgements of what was written."""


class Peer:
    """One end of a connection; `scheme` 1 is plain text."""

    def __init__(self, role: Role, key: int, vehicle_id: str, scheme: int = 0) -> None:
        self.role = role
        self.key = key
        self.vehicle_id = vehicle_id
        self.scheme = scheme
        self.heard: list[bytes] = []
        self.connection: Connection | None = None

    def join(self, server: Server) -> Room:
        """Connect and log in."""
        self.loop = cast("FakeLoop", server.loop)
        self.transport = FakeTransport()
        self.connection = Connection(server)
        self.connection.connection_made(cast("Any", self.transport))
        vehicle_ = vehicle(self.key, self.vehicle_id)
        room = server.hub.room(vehicle_)
        now = server.loop.time()
        if self.scheme == 0:
            session = ClientSession(self.role, self.vehicle_id, SECRET, CLIENT_TOKEN)
            self.connection.data_received(session.data_to_send())
            self.connection.enter(room, SECRET, SERVER_TOKEN)
            key = session_key(SECRET, SERVER_TOKEN, CLIENT_TOKEN)
            self.cipher: Rc4Lines | None = Rc4Lines(key)
        else:
            self.connection.data_received(b"MP-%b 1 anna secret %b\n" % (self.role.value.encode(), self.vehicle_id.encode()))
            self.connection.enter_user(room, "anna", [self.vehicle_id])
            self.cipher = None
        self._join(server, room, now)
        welcome, *lines = self._lines()
        assert welcome.startswith(b"MP-S %d " % self.scheme)
        self._hear(lines)
        return room

    def _join(self, server: Server, room: Room, now: float) -> None:
        assert self.connection is not None
        if self.role is Role.CAR:
            server.hub.join_car(room, self.connection, now, epoch=1)
        else:
            server.hub.join_watcher(room, self.connection, now)

    def read(self) -> None:
        """Take what was written to it."""
        self._hear(self._lines())

    def _lines(self) -> list[bytes]:
        """What was written by the end of this turn of the loop."""
        self.loop.advance(0)
        writes, self.transport.writes = self.transport.writes, []
        return [line for write in writes for line in check_lines(write)]

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            assert self.role is not Role.CAR or len(line) + 2 <= MOST_TO_A_CAR, "a line longer than a car can take"
            message = line if self.cipher is None else self.cipher.open(line)
            check_message(message)
            self.heard.append(message)


class Scene:
    """Two vehicles, each with a car; apps and batch clients at the first, an app of both schemes at the second."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.server = make_server(loop=self.loop)
        self.rooms: dict[int, Room] = {}
        self.peers = {
            "0": Peer(Role.CAR, 1, "DEMO"),
            "1": Peer(Role.APP, 1, "DEMO"),
            "2": Peer(Role.APP, 1, "DEMO", scheme=1),
            "3": Peer(Role.BATCH, 1, "DEMO"),
            "4": Peer(Role.CAR, 2, "Other-1", scheme=1),
            "5": Peer(Role.APP, 2, "Other-1"),
            "6": Peer(Role.CAR, 1, "DEMO"),
        }
        for name, peer in self.peers.items():
            if name != "6":
                self._join(peer)
        self.settle()
        for peer in self.peers.values():
            peer.heard.clear()

    def _join(self, peer: Peer) -> None:
        if peer.connection is None or peer.connection.is_gone:
            self.rooms[peer.key] = peer.join(self.server)

    def named(self, data: bytes) -> tuple[Peer, bytes]:
        """Who does it, by the first byte, and what."""
        name = chr(data[0]) if data else "0"
        return self.peers.get(name, self.peers["0"]), data[1:]

    def say(self, peer: Peer, message: bytes) -> None:
        """Send a message in a whole line."""
        if message and peer.connection is not None and not peer.connection.is_gone:
            self.receive(peer, message + b"\r\n" if peer.cipher is None else peer.cipher.seal(message))

    def receive(self, peer: Peer, data: bytes) -> None:
        """Send any bytes."""
        if peer.connection is not None and not peer.connection.is_gone:
            peer.connection.data_received(data)

    def leave(self, peer: Peer) -> None:
        """Its socket is closed."""
        if peer.connection is not None and peer.connection in self.server.connections:
            peer.connection.connection_lost(None)
            assert peer.connection.is_gone

    def settle(self) -> None:
        """Let what is due happen; who was closed goes."""
        self.loop.advance(0.05)
        connected = [peer for peer in self.peers.values() if peer.connection is not None]
        for peer in connected:
            if peer.transport.is_closed:
                self.leave(peer)
        self.loop.advance(0.05)
        for peer in connected:
            peer.read()

    def write(self) -> None:
        """What waits is written, and whoever waits for that is told."""
        finish(self.server.recorder.flush())

    # ---- what must hold

    def check(self, who: Peer | None) -> None:
        for peer in self.peers.values():
            heard, peer.heard = peer.heard, []
            if who is None or peer.key != who.key:
                allowed = b"g" if who is not None else OF_ITSELF
                assert all(message[:1] in allowed for message in heard), f"{peer.vehicle_id} hears {heard}"
        for room in self.rooms.values():
            assert len(room.commands) <= MOST_OPEN
            assert all(command.asker in room.watchers for command in room.commands if not _is_gone(command.asker))
        assert all(len(groups) <= MOST_PER_PEER for groups in self.server.groups._of_peer.values())
        assert all(len(group) <= LONGEST_NAME for groups in self.server.groups._of_peer.values() for group in groups)
        assert set(self.server.groups._of_peer) <= self.server.connections
        self._check_rows()

    def _check_rows(self) -> None:
        """What waits is what PostgreSQL takes."""
        for waiting in self.server.recorder._history._waiting.values():
            row = HistoryRow._make(waiting.row)
            assert "\0" not in row.record_type + (row.ack_code or "")
            assert -LARGEST <= row.record_number < LARGEST
            assert 0 <= row.recorded_at < LARGEST
            assert 0 <= row.expires_at < LARGEST
            assert b"\n" not in row.data

    def end(self) -> None:
        """Everybody goes, and nothing of them is left."""
        self.write()
        self.settle()
        for peer in self.peers.values():
            self.leave(peer)
        self.loop.advance(0.05)
        assert not self.server.connections
        assert not len(self.server.hub)
        assert not self.server.gate.inside
        groups = self.server.groups
        assert not (groups._of_peer)
        assert not (groups._updates)
        assert not (groups._subscribers)
        assert not (groups._rates)
        assert not (groups._pending)
        assert not (groups._behind)
        assert not (groups._requests)
        assert not self.server.recorder._bytes
        store = cast("FakeStore", self.server.recorder._store)
        assert all(len(row.code) == 1 for row in store.states.values())


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run what never has to wait, since all that it waits for is in memory."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def _is_gone(peer: object) -> bool:
    assert isinstance(peer, Connection)
    return peer.is_gone


def _steps(scene: Scene, data: bytes) -> Iterator[Peer | None]:
    """Who has done something, after each step; None where nobody has."""
    for letter, given in read_steps(data):
        peer, rest = scene.named(given)
        match letter:
            case "m":
                scene.say(peer, rest)
            case "f":
                scene.say(peer, rest[:1] + rest[1:256] * FLOOD)
            case "r":
                scene.receive(peer, rest)
            case "x":
                scene.leave(peer)
            case "j":
                scene._join(peer)
            case "w":
                scene.write()
            case "t":
                scene.loop.advance(int.from_bytes(rest[:2], "big"))
        yield peer if letter in "mfrxj" else None


def check(data: bytes) -> None:
    scene = Scene()
    for peer in _steps(scene, data):
        scene.settle()
        scene.check(peer)
    scene.end()
