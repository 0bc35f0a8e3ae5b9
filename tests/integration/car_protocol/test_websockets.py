"""Protocol v2 in WebSockets, as the client of another library sees it, with and without TLS."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidMessage

from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, PASSWORD, CarService, add_vehicles, car_service_on, make_token
from fixtures.certificates import Pair, pair
from fixtures.floods import CPU, FLOODS, cost_of_flood
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.db.passwords import hash_password
from ovms.identity import Role
from ovms.protocol import ClientSession, Welcomed
from ovms.protocol.server import LINE_LIMITS, WELCOME_LIMIT
from ovms.websockets import CONTROL_FRAMES

__all__ = ["pair"]

USER_WELCOME = "MP-A 1 anna secret *"


class Visitor:
    """A peer at the other end of a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._session: ClientSession | None = None

    async def introduce(self, role: Role, password: bytes = PASSWORD) -> None:
        """Send the welcome of scheme 0."""
        self._session = ClientSession(role, "DEMO", password, make_token())
        await self.socket.send(self._session.data_to_send().decode().removesuffix("\r\n"))

    async def send(self, message: bytes, *, is_text: bool = True) -> None:
        """Send a message, as scheme 0 or 1 has it."""
        line = message
        if self._session is not None:
            self._session.send(message)
            line = self._session.data_to_send().removesuffix(b"\r\n")
        await self.socket.send(line.decode() if is_text else line)

    async def take(self) -> object:
        """The next that it hears."""
        async with asyncio.timeout(DEADLINE):
            line = await self.socket.recv()
        assert isinstance(line, str)
        assert not line.endswith(("\r", "\n"))
        if self._session is None:
            return line.encode()
        self._session.receive_data(line.encode() + b"\r\n")
        [event] = self._session.events()
        return event

    async def hears(self, *expected: object) -> None:
        assert [await self.take() for _ in expected] == list(expected)


@pytest.fixture
async def service(car_settings: dict[str, Any], pool: Pool, secret_keys: str, pair: Pair) -> AsyncIterator[CarService]:
    """A service with both ports, and vehicle DEMO of owner anna."""
    await add_vehicles(pool, secret_keys, "DEMO")
    await pool.execute("UPDATE owners SET name = 'anna', password_hash = $1", await asyncio.to_thread(hash_password, "secret"))
    async with car_service_on(Settings(**car_settings, **pair.settings, v2_tls_port=0), pool) as service:
        yield service


@pytest.fixture(params=["ws", "wss"])
def address(request: pytest.FixtureRequest, service: CarService, pair: Pair) -> dict[str, Any]:
    """Where the WebSocket is, and how to reach it."""
    listener = service.running.listener
    if request.param == "ws":
        return {"uri": f"ws://127.0.0.1:{listener.port}/apiv2", "proxy": None}
    return {"uri": f"wss://127.0.0.1:{listener.tls_port}/apiv2", "ssl": pair.trusted(), "proxy": None}


async def test_scheme_0(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address) as ours, connect(**address) as theirs:
        car, app = Visitor(ours), Visitor(theirs)
        await car.introduce(Role.CAR)
        await car.hears(Welcomed(), b"Z0")
        await app.introduce(Role.APP)
        await app.hears(Welcomed(), b"Z1", b"T3020399")
        await car.hears(b"Z1")
        await car.send(b"S75,K", is_text=False)
        await app.hears(b"S75,K", b"T0")
        await app.send(b"C7,stat")
        await car.hears(b"C7,stat")
        await car.send(b"c7,0,all is well")
        await app.hears(b"c7,0,all is well")


async def test_scheme_1_and_a_car_on_the_plain_port(service: CarService, address: dict[str, Any]) -> None:
    car = await service.car()
    async with connect(**address) as socket:
        app = Visitor(socket)
        await socket.send(USER_WELCOME)
        await app.hears(b"MP-S 1 anna DEMO DEMO", b"Z1", b"T3020399")
        car.send(b"L22.27,114.18", b"PIone\rtwo")
        await app.hears(b"L22.27,114.18", b"T0", b"PIone\rtwo")
        await app.send(b"A", is_text=False)
        await app.hears(b"a")
    await car.until_hears(b"Z1")
    await car.until_hears(b"Z0")


async def test_pings_of_both_kinds_and_messages_in_fragments(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address) as socket:
        async with asyncio.timeout(DEADLINE):
            await (await socket.ping(b"before login"))
        await socket.send(["MP-A 1 ", "anna", " secret *"])
        app = Visitor(socket)
        await app.hears(b"MP-S 1 anna DEMO DEMO", b"Z0", b"T3020399")
        async with asyncio.timeout(DEADLINE):
            await (await socket.ping())
        await socket.send([b"", b"A", b""])
        await app.hears(b"a")


@pytest.mark.parametrize("welcome", ["MP-A 1 anna wrong *", "MP-A 9 a b c", "HELLO", ""])
async def test_who_is_not_let_in_is_told_by_a_close(service: CarService, address: dict[str, Any], welcome: str) -> None:
    async with connect(**address) as socket:
        await socket.send(welcome)
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(ConnectionClosedOK):
                await socket.recv()
    await until(lambda: not service.running.server.connections)


async def test_a_welcome_of_more_than_1_kib_is_closed_with_1008(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address) as socket:
        await socket.send("x" * (WELCOME_LIMIT + 1))
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
        assert socket.close_code == 1008
    await until(lambda: not service.running.server.connections)


async def test_a_second_car_is_told_apart_and_the_first_one_is_closed(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address) as first, connect(**address) as second:
        for socket in (first, second):
            car = Visitor(socket)
            await car.introduce(Role.CAR)
            await car.hears(Welcomed(), b"Z0")
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(ConnectionClosedOK):
                await first.recv()
        await car.send(b"A")
        await car.hears(b"a")


@pytest.mark.parametrize("is_fragmented", [False, True])
async def test_an_app_may_send_64_kib_and_not_more(
    service: CarService, address: dict[str, Any], *, is_fragmented: bool
) -> None:
    async with connect(**address) as socket:
        await socket.send(USER_WELCOME)
        app = Visitor(socket)
        await app.hears(b"MP-S 1 anna DEMO DEMO", b"Z0", b"T3020399")
        longest = "A" + "x" * (LINE_LIMITS[Role.APP] - 1)
        await socket.send(longest)
        await app.hears(b"a")
        await socket.send([longest, "x"] if is_fragmented else longest + "x")
        async with asyncio.timeout(DEADLINE):
            with pytest.raises((ConnectionClosedOK, ConnectionClosedError)):
                await socket.recv()
    await until(lambda: not service.running.server.connections)
    assert service.running.server.counters.closed["LineTooLong"] == 1


async def test_a_car_may_send_a_long_line(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address) as ours, connect(**address, max_size=None) as theirs:
        car, app = Visitor(ours), Visitor(theirs)
        await car.introduce(Role.CAR)
        await car.hears(Welcomed(), b"Z0")
        await app.introduce(Role.APP)
        await app.hears(Welcomed(), b"Z1", b"T3020399")
        await app.send(b"C7,log")
        await car.hears(b"Z1", b"C7,log")
        dump = b"c7,0," + b"x" * 1_000_000
        await car.send(dump)
        await app.hears(dump)


async def test_who_goes_without_a_word_or_with_one_is_gone(service: CarService, address: dict[str, Any]) -> None:
    car = await service.car()
    await car.hears(b"Z0")
    for leave in ("close", "abort"):
        socket = await connect(**address)
        await socket.send(USER_WELCOME)
        await Visitor(socket).hears(b"MP-S 1 anna DEMO DEMO", b"Z1", b"T3020399")
        await car.hears(b"Z1")
        if leave == "close":
            await socket.close()
        else:
            socket.transport.abort()
        await car.hears(b"Z0")


async def test_last_words_in_the_packet_of_the_close_are_heard(service: CarService, address: dict[str, Any]) -> None:
    app = await service.app()
    await app.until_hears(b"T3020399")
    async with connect(**address) as socket:
        car = Visitor(socket)
        await car.introduce(Role.CAR)
        await car.hears(Welcomed(), b"Z1")
        await car.send(b"S75,K")
    await app.hears(b"Z1", b"S75,K", b"T0", b"Z0")


@pytest.mark.parametrize("path", ["/", "/apiv1", "/api/status/DEMO"])
async def test_other_paths_are_not_served(service: CarService, address: dict[str, Any], path: str) -> None:
    address["uri"] = address["uri"].replace("/apiv2", path)
    with pytest.raises(InvalidMessage):
        await connect(**address)
    await until(lambda: service.running.server.counters.closed["BadWelcome"] == 1)


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
async def test_a_stranger_who_floods_with_frames_delays_nobody(service: CarService, frame: bytes) -> None:
    car = await service.car()
    assert await cost_of_flood(service.port, "/apiv2", frame, car.drain) < CPU
    await until(lambda: service.running.server.counters.closed["TooManyFrames"] == 1)


async def test_a_peer_past_a_bound_of_frames_is_closed_with_1008(service: CarService, address: dict[str, Any]) -> None:
    async with connect(**address, ping_interval=None) as socket:
        await socket.send(USER_WELCOME)
        await socket.recv()
        for _ in range(CONTROL_FRAMES + 1):
            await socket.pong()
        async with asyncio.timeout(DEADLINE):
            await socket.wait_closed()
        assert socket.close_code == 1008
    assert service.running.server.counters.closed["TooManyFrames"] == 1
