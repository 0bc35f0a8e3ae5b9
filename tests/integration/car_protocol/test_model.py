"""Cars, apps and batch clients around two vehicles, against a model of a few lines: what every one of them hears, exactly.

All of the service is real but PostgreSQL, Redis and the sockets, which are in memory; so is the time, which passes in no time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import selectors
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from car_protocol.connections.connection import Connection
from car_protocol.logins.desk import LoginDesk
from car_protocol.logins.greeter import Greeter
from car_protocol.logins.greeting import NEVER
from car_protocol.logins.known import KnownVehicles
from car_protocol.logins.notices import LoginNotices
from car_protocol.logins.register import Register
from car_protocol.rooms.follower import Learnt
from car_protocol.rooms.hub import Elsewhere, Room
from car_protocol.server import Server
from fakes.servers import WALL_OFFSET, make_server
from fakes.stores import FakeStore
from fakes.transports import FakeTransport
from ovms.auth.delays import LoginDelays
from ovms.bus.presence import Claim, Present
from ovms.db.logins import Vehicle
from ovms.db.sealing import Sealer
from ovms.db.writer import StateRow
from ovms.identity import Role, VehicleName, fold_vehicle_id
from ovms.protocol import ClientSession, Failed, Timeouts, Welcomed

PASSWORD = b"NETPASS"
VEHICLES = {"DEMO": 1, "Other-1": 2}
VEHICLE_COLUMNS = [one.name for one in dataclasses.fields(Vehicle)]
MOMENT = 0.125
"""What passes after every step: longer than any tick of the service."""
NOBODY_IS_SILENT = Timeouts(car=1e9, app=1e9, batch=1e9)
COMMAND_ENDS = 60.0


# ---- what is in memory


class Clock(selectors.SelectSelector):
    """Waits for nothing: the time is there at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.now += max(timeout, 0.0)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time passes only where everybody waits."""

    def __init__(self) -> None:
        self._clock = Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class Row(tuple[Any, ...]):
    """A row, as asyncpg gives it."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(VEHICLE_COLUMNS.index(key) if isinstance(key, str) else key)


class FakePool:
    """Vehicles that all have one password, and the messages in a store."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.sealer = Sealer({"key": bytes(32)}, "key")

    async def fetch(self, query: str, wanted: Sequence[Any]) -> list[Row]:
        return list(self._vehicles(wanted) if "FROM vehicles" in query else self._messages(wanted))

    def _vehicles(self, folded_ids: Sequence[str]) -> Iterable[Row]:
        for vehicle_id, key in VEHICLES.items():
            if (folded := fold_vehicle_id(vehicle_id)) in folded_ids:
                key_id, sealed = self.sealer.seal(PASSWORD, context=folded)
                vehicle = Vehicle(key, vehicle_id, sealed, key_id, self._store.tokens.get(key, ""))
                yield Row(dataclasses.astuple(vehicle))

    def _messages(self, keys: Sequence[int]) -> Iterable[Row]:
        for (key, code), kept in self._store.states.items():
            if key in keys:
                yield Row((key, code, kept.data, kept.received_at, kept.paranoid_token, kept.epoch, kept.number))


class FakePresence:
    """Nobody is elsewhere; every login of a car is newer than all before."""

    epoch = 0

    async def claim(self, cars: Sequence[tuple[str, int]]) -> list[Claim]:
        self.epoch += 1
        return [Claim(self.epoch, Present())] * len(cars)

    def greatest_session(self, vehicle: VehicleName) -> int:
        return 0

    def elsewhere(self, present: Present) -> Elsewhere:
        return Elsewhere()

    def learn(self, room: Room, answer: Callable[[Learnt], None]) -> None:
        answer(Learnt())


@dataclass(eq=False)
class Client:
    """One end of a connection, and what it should hear in this step."""

    role: Role
    vehicle_id: str
    number: int
    expected: list[bytes] = field(default_factory=list)

    def connect(self, server: Server, spelling: str) -> None:
        token = base64.b64encode(b"%016d" % self.number)[:22]
        self.session = ClientSession(self.role, spelling, PASSWORD, token)
        self.transport = FakeTransport()
        self.connection = Connection(server)
        self.connection.connection_made(cast("Any", self.transport))
        self.connection.data_received(self.session.data_to_send())

    def send(self, message: bytes, cut: int) -> None:
        """A line in two pieces, however small."""
        self.session.send(message)
        line = self.session.data_to_send()
        cut %= len(line)
        for piece in (line[:cut], line[cut:]):
            if piece:
                self.connection.data_received(piece)

    def heard(self) -> list[bytes]:
        """The messages since the last call, each of which came as one whole line."""
        messages = []
        for write in self.transport.writes:
            assert write.endswith(b"\r\n")
            self.session.receive_data(write)
        self.transport.writes.clear()
        for event in self.session.events():
            assert not isinstance(event, Failed)
            if not isinstance(event, Welcomed):
                messages.append(event)
        return messages


# ---- the model


@dataclass
class Model:
    """What a vehicle's peers should hear."""

    car: Client | None = None
    watchers: list[Client] = field(default_factory=list)
    stored: dict[int, tuple[bytes, str, float]] = field(default_factory=dict)
    """By code: the message as it is sent, the token that it is sealed with, and when it came."""
    token: str = ""
    commands: list[tuple[int, Client, float]] = field(default_factory=list)
    """Number (-1: sealed), asker, and when it ends."""
    acknowledgements: dict[bytes, list[Client]] = field(default_factory=dict)
    records: dict[int, int] = field(default_factory=dict)
    """History records that were sent with an acknowledgement: when they were made, by number."""

    def tell(self, *messages: bytes) -> None:
        for watcher in self.watchers:
            watcher.expected += messages

    def tell_car(self, message: bytes) -> None:
        if self.car is not None:
            self.car.expected.append(message)

    def count_apps(self) -> None:
        self.tell_car(b"Z%d" % sum(watcher.role is Role.APP for watcher in self.watchers))

    def greet(self, watcher: Client, now: float) -> None:
        kept = {code: one for code, one in self.stored.items() if one[1] in ("", self.token)}
        messages = [kept[code] for code in sorted(kept, key=lambda code: (b"FS".find(code) % 3, code))]
        watcher.expected.append(b"Z%d" % (self.car is not None))
        sealed = [message for message, token, _ in messages if token]
        for message, _, _ in messages:
            watcher.expected += [b"ET" + self.token.encode()] if sealed[:1] == [message] else []
            watcher.expected.append(message)
        newest = max((came + WALL_OFFSET for _, _, came in messages), default=None)
        watcher.expected.append(b"T%d" % (NEVER if newest is None else int(now + WALL_OFFSET - newest)))

    def leave(self, client: Client) -> None:
        if client is self.car:
            self.car = None
            self.commands.clear()
            self.tell(b"Z0")
        elif client in self.watchers:
            self.watchers.remove(client)
            if client.role is Role.APP:
                self.count_apps()

    def answer(self, number: int, message: bytes, now: float, *, is_last: bool = True) -> None:
        self.commands = [asked for asked in self.commands if asked[2] > now]
        asked = next((asked for asked in self.commands if number in (-1, asked[0])), None)
        if asked is None:
            self.tell(message)
        else:
            if asked[1] in self.watchers:
                asked[1].expected.append(message)
            if is_last:
                self.commands.remove(asked)


def in_any_order(messages: list[bytes]) -> list[bytes]:
    """The acknowledgements among them last, and sorted: those that had to wait come as they were written."""
    return sorted(messages, key=lambda message: message if message[:1] == b"h" else b"")


class StateMachine(RuleBasedStateMachine):
    """Everybody hears what the model says, in its order, and nothing else: who comes and goes, and what greets him."""

    @initialize(is_paranoid=st.booleans(), is_stalled=st.booleans())
    def begin(self, is_paranoid: bool, is_stalled: bool) -> None:
        self.loop = Loop()
        self.models = {vehicle_id: Model() for vehicle_id in VEHICLES}
        self.clients: list[Client] = []
        self.members: dict[bytes, dict[Client, bytes]] = {}
        self.subscribers: dict[bytes, list[Client]] = {}
        self.numbers = self.tokens = 0
        self.is_stalled = False
        self.tasks = self.loop.run_until_complete(self.start())
        for role in (Role.APP, Role.CAR, Role.BATCH, Role.APP):
            self.login(role, "DEMO", is_folded=False)
        self.login(Role.CAR, "Other-1", is_folded=False)
        if is_paranoid:
            self.token("DEMO", is_new=True)
        if is_stalled:
            self.stall()

    async def start(self) -> list[asyncio.Task[None]]:
        self.server = server = make_server(loop=cast("Any", self.loop), timeout_command=COMMAND_ENDS)
        server.timeouts = NOBODY_IS_SILENT
        self.store = cast("FakeStore", server.recorder._store)
        self.presence = FakePresence()
        pool = FakePool(self.store)
        greeter = Greeter(cast("Any", pool), server.recorder, cast("Any", self.presence))
        server.desk = LoginDesk(
            cast("Any", pool),
            Register(cast("Any", pool), KnownVehicles(0), self.loop.time),
            pool.sealer,
            cast("Any", self.presence),
            server.hub,
            server.recorder,
            cast("Any", self.presence),
            greeter,
            LoginNotices(lambda *_: None),
            LoginDelays(),
        )
        return [asyncio.create_task(part.run()) for part in (server.desk, greeter, server.recorder)]

    # ---- who comes and goes

    @rule(role=st.sampled_from(Role), vehicle_id=st.sampled_from(sorted(VEHICLES)), is_folded=st.booleans())
    def login(self, role: Role, vehicle_id: str, is_folded: bool) -> None:
        model = self.models[vehicle_id]
        self.numbers += 1
        client = Client(role, vehicle_id, self.numbers)
        self.clients.append(client)
        if role is Role.CAR:
            if (former := model.car) is not None:
                self.forget(former)
            model.car = client
            model.tell(b"Z1")
            model.count_apps()
        else:
            model.watchers.append(client)
            model.greet(client, self.loop.time())
            if role is Role.APP:
                model.count_apps()
        client.connect(self.server, vehicle_id.lower() if is_folded else vehicle_id)
        self.settle()

    @rule(index=st.integers(0, 20))
    def go(self, index: int) -> None:
        if self.clients:
            client = self.clients[index % len(self.clients)]
            self.forget(client)
            client.connection.connection_lost(None)
            self.settle()

    def forget(self, client: Client) -> None:
        self.clients.remove(client)
        self.models[client.vehicle_id].leave(client)
        for group in self.members.values():
            group.pop(client, None)
        for subscribers in self.subscribers.values():
            with contextlib.suppress(ValueError):
                subscribers.remove(client)

    # ---- what a car says

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), code=st.sampled_from(b"SDLFVx"), size=st.integers(0, 40))
    def state(self, vehicle_id: str, code: int, size: int) -> None:
        message = b"%c%d," % (code, self.numbers) + b"x" * size
        self.from_car(vehicle_id, message, size)
        self.keep(vehicle_id, code, message, "")

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), code=st.sampled_from(b"SDLF"), size=st.integers(1, 20))
    def sealed_state(self, vehicle_id: str, code: int, size: int) -> None:
        message = b"EM%c" % code + b"x" * size
        if self.models[vehicle_id].token:
            self.from_car(vehicle_id, message, size)
            self.keep(vehicle_id, code, message, self.models[vehicle_id].token)

    def keep(self, vehicle_id: str, code: int, message: bytes, token: str) -> None:
        model = self.models[vehicle_id]
        if model.car is not None:
            model.stored[code] = message, token, self.said_at
            model.tell(message, *[b"f9.9"] * (code == ord("F")), b"T0")
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), code=st.sampled_from(b"SDLF"))
    def state_elsewhere(self, vehicle_id: str, code: int) -> None:
        """The car has gone to another replica, which has PostgreSQL at hand, and has left that too."""
        model = self.models[vehicle_id]
        if model.car is None and not model.token:
            self.presence.epoch += 1
            said_at = self.loop.time()
            message = b"%celsewhere%d" % (code, self.presence.epoch)
            row = StateRow(
                VEHICLES[vehicle_id], chr(code), message[1:], said_at + WALL_OFFSET, self.presence.epoch, 1, paranoid_token=None
            )
            self.store.keep_states([row])
            model.stored[code] = message, "", said_at
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), is_new=st.booleans())
    def token(self, vehicle_id: str, is_new: bool) -> None:
        model = self.models[vehicle_id]
        self.tokens += is_new
        token = f"token{self.tokens}" if is_new else model.token
        if model.car is not None and token:
            model.token = token
            model.stored = {code: one for code, one in model.stored.items() if one[1] in ("", token)}
            self.from_car(vehicle_id, b"ET" + token.encode(), 3)
            model.tell(b"ET" + token.encode())
        self.settle()

    # ---- PostgreSQL

    @precondition(lambda self: not self.is_stalled)
    @rule()
    def stall(self) -> None:
        self.is_stalled = True
        self.store.open.clear()

    @precondition(lambda self: self.is_stalled)
    @rule()
    def go_on(self) -> None:
        self.is_stalled = False
        self.store.open.set()
        self.settle()

    # ---- after every step

    def from_car(self, vehicle_id: str, message: bytes, cut: int) -> None:
        if (car := self.models[vehicle_id].car) is not None:
            self.said_at = self.loop.time()
            car.send(message, cut)

    def settle(self) -> None:
        if not self.is_stalled:
            for model in self.models.values():
                for message, cars in model.acknowledgements.items():
                    for car in cars:
                        car.expected.append(message)
                model.acknowledgements.clear()
        self.loop.run_until_complete(asyncio.sleep(MOMENT))
        for client in self.clients:
            assert in_any_order(client.heard()) == in_any_order(client.expected), client
            assert not client.transport.is_closed
            client.expected.clear()
        for connection in self.server.connections - {client.connection for client in self.clients}:
            cast("Connection", connection).connection_lost(None)

    def teardown(self) -> None:
        try:
            self.go_on()
            self.check_states()
            self.check_records()
            while self.clients:
                self.go(0)
            assert not self.server.connections
            assert not len(self.server.hub)
        finally:
            for task in self.tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
            self.loop.close()

    def check_states(self) -> None:
        """What greets apps is what is stored, and nothing is left that none can open."""
        rows = {key: (key[1].encode() + row.data, row.paranoid_token or "") for key, row in self.store.states.items()}
        sent = {
            (VEHICLES[vehicle_id], chr(code)): (message.removeprefix(b"EM" if token else b""), token)
            for vehicle_id, model in self.models.items()
            for code, (message, token, _) in model.stored.items()
        }
        assert rows == sent

    def check_records(self) -> None:
        """Each is there once, however often it was sent."""
        rows = [(row.vehicle, row.record_number) for row in self.store.history if row.record_type == "*-LOG"]
        sent = [(VEHICLES[vehicle_id], number) for vehicle_id, model in self.models.items() for number in model.records]
        assert sorted(rows) == sorted(sent)


class ServiceMachine(StateMachine):
    """The same with all else that anybody may say."""

    @rule(seconds=st.sampled_from([1.0, 25.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    @rule(index=st.integers(0, 20), cut=st.integers(0, 500))
    def ping(self, index: int, cut: int) -> None:
        if self.clients:
            client = self.clients[index % len(self.clients)]
            client.expected.append(b"a")
            client.send(b"A", cut)
            self.settle()

    # ---- what a car says

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), text=st.sampled_from([b"", b"IHello", b"AStopped, not charging"]))
    def notification(self, vehicle_id: str, text: bytes) -> None:
        self.from_car(vehicle_id, b"P" + text, 7)
        if self.models[vehicle_id].car is not None:
            self.models[vehicle_id].tell(b"P" + text)
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), number=st.integers(1, 4), off=st.sampled_from([-1, 0, 1]))
    def acknowledged_record(self, vehicle_id: str, number: int, off: int) -> None:
        """The same record again and again, at times one second off."""
        model, now = self.models[vehicle_id], int(self.loop.time() + WALL_OFFSET)
        if model.car is not None:
            made_at = model.records.setdefault(number, now)
            self.from_car(vehicle_id, b"h%d,%d,*-LOG,%d,86400,%d" % (number, made_at - now + off, number, number), number)
            model.acknowledgements.setdefault(b"h%d" % number, []).append(model.car)
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), number=st.integers(0, 3))
    def record(self, vehicle_id: str, number: int) -> None:
        self.from_car(vehicle_id, b"H*-OTHER,%d,60,data" % number, number)
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), group=st.sampled_from([b"north", b"South"]), cut=st.integers(0, 50))
    def group_update(self, vehicle_id: str, group: bytes, cut: int) -> None:
        if (car := self.models[vehicle_id].car) is not None:
            told = b"g%b,%b,%d" % (vehicle_id.encode(), group.upper(), cut)
            self.members.setdefault(group.upper(), {})[car] = told
            for subscriber in self.subscribers.get(group.upper(), []):
                subscriber.expected.append(told)
            self.from_car(vehicle_id, b"g%b,%d" % (group, cut), cut)
        self.settle()

    # ---- commands and their answers

    @rule(index=st.integers(0, 20), number=st.sampled_from([1, 3, 7]))
    def command(self, index: int, number: int) -> None:
        self.ask(index, number, b"C%d,x" % number)

    @rule(index=st.integers(0, 20))
    def sealed_command(self, index: int) -> None:
        self.ask(index, -1, b"EMCsealed")

    def ask(self, index: int, number: int, message: bytes) -> None:
        watchers = [client for client in self.clients if client.role is not Role.CAR]
        if watchers:
            asker = watchers[index % len(watchers)]
            model = self.models[asker.vehicle_id]
            if model.car is not None:
                model.commands.append((number, asker, self.loop.time() + COMMAND_ENDS))
                model.tell_car(message)
            elif number > 0:
                asker.expected.append(b"c%d,1,Vehicle is not connected" % number)
            asker.send(message, index)
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)), number=st.sampled_from([1, 3, 7]), left=st.integers(0, 2))
    def answer(self, vehicle_id: str, number: int, left: int) -> None:
        """One of many, `left` of which are to come; or the one answer that other commands have."""
        message = b"c%d,0,%d,3,x" % (number, 2 - left)
        if self.models[vehicle_id].car is not None:
            self.models[vehicle_id].answer(number, message, self.loop.time(), is_last=number == 7 or left == 0)
            self.from_car(vehicle_id, message, left)
        self.settle()

    @rule(vehicle_id=st.sampled_from(sorted(VEHICLES)))
    def sealed_answer(self, vehicle_id: str) -> None:
        if self.models[vehicle_id].car is not None:
            self.models[vehicle_id].answer(-1, b"EMcsealed", self.loop.time())
            self.from_car(vehicle_id, b"EMcsealed", 5)
        self.settle()

    # ---- what apps say

    @rule(index=st.integers(0, 20), group=st.sampled_from([b"NORTH", b"south"]))
    def subscribe(self, index: int, group: bytes) -> None:
        watchers = [client for client in self.clients if client.role is not Role.CAR]
        if watchers:
            client = watchers[index % len(watchers)]
            client.expected += self.members.get(group.upper(), {}).values()
            subscribers = self.subscribers.setdefault(group.upper(), [])
            if client.role is Role.APP and client not in subscribers:
                subscribers.append(client)
            client.send(b"G" + group, index)
        self.settle()

    @rule(index=st.integers(0, 20))
    def relay(self, index: int) -> None:
        watchers = [client for client in self.clients if client.role is not Role.CAR]
        if watchers:
            client = watchers[index % len(watchers)]
            if client.role is Role.APP:
                self.models[client.vehicle_id].tell_car(b"x1,2")
            client.send(b"x1,2", index)
        self.settle()


TestState = StateMachine.TestCase
TestState.settings = hypothesis.settings(max_examples=100, stateful_step_count=30, deadline=None)

TestService = ServiceMachine.TestCase
TestService.settings = hypothesis.settings(max_examples=120, stateful_step_count=50, deadline=None)
