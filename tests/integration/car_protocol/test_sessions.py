"""Logins and peer counts, as clients see them."""

import base64
import hmac
import time
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, PASSWORD, CarService, Peer, add_vehicles, car_service_on, make_token
from fixtures.waiting import until
from ovms.auth.delays import FREE
from ovms.db.engine import Pool
from ovms.db.sealing import Sealer
from ovms.db.writer import StateRow, write_states
from ovms.identity import Role
from ovms.local.ports import free_port


class RawPeer(Peer):
    """A peer that says what a test says, and keeps the bytes that it is sent."""

    def __init__(self) -> None:
        super().__init__(Role.APP, "DEMO")
        self.bytes = b""

    def data_received(self, data: bytes) -> None:
        self.bytes += data
        self._changed.set()


async def raw(service: CarService, *pieces: bytes) -> RawPeer:
    peer = RawPeer()
    service.peers.append(peer)
    await peer.connect(service.port, introduce=False)
    for piece in pieces:
        peer.transport.write(piece)
    return peer


def welcome(
    token: bytes, *, is_padded: bool = True, vehicle_id: bytes = b"DEMO", extra: bytes = b"", end: bytes = b"\r\n"
) -> bytes:
    proof = base64.b64encode(hmac.digest(PASSWORD, token, "md5"))
    return b"MP-A 0 %b %b %b%b%b" % (token, proof if is_padded else proof.rstrip(b"="), vehicle_id, extra, end)


@pytest.mark.parametrize(
    "line",
    [
        welcome(make_token()),
        welcome(make_token(), is_padded=False),
        welcome(make_token(), end=b"\n"),
        welcome(make_token()[:8]),
        welcome(make_token() + make_token()),
        welcome(make_token(), extra=b" car.png"),
        welcome(make_token(), vehicle_id=b"demo"),
        welcome(make_token(), vehicle_id=b"dEmO"),
    ],
    ids=["padded", "unpadded", "LF alone", "short token", "long token", "more words", "lower case", "mixed case"],
)
async def test_logins_of_real_clients(car_service: CarService, line: bytes) -> None:
    peer = await raw(car_service, line[:20], line[20:])
    await peer._until(lambda: peer.bytes.count(b"\r\n") == 3)
    mp_s, scheme, token, proof = peer.bytes.split(b"\r\n")[0].split(b" ")
    assert (mp_s, scheme, len(token), len(proof)) == (b"MP-S", b"0", 22, 24)
    assert base64.b64decode(proof) == hmac.digest(PASSWORD, token, "md5")


@pytest.mark.parametrize(
    "line",
    [
        b"HELLO THERE\r\n",
        b"\r\n",
        b"MP-C 9 abcdefghijklmnopqrstuv AAAAAAAAAAAAAAAAAAAAAA== DEMO\r\n",
        b"MP-C 0 abcdefghijklmnopqrstuv AAAAAAAAAAAAAAAAAAAAAA== DEMO\r\n",
        b"MP-C 0 abcdefghijklmnopqrstuv AAAAAAAAAAAAAAAAAAAAAA== NOSUCHCAR\r\n",
        b"MP-C 0 abcdefghijklmnopqrstuv AAAAAAAAAAAAAAAAAAAAAA== \xff\xfe\r\n",
        b"x" * 2000,
    ],
)
async def test_who_is_not_let_in_is_closed_without_a_byte(car_service: CarService, line: bytes) -> None:
    peer = await raw(car_service, line)
    await peer.closed()
    assert peer.bytes == b""


@pytest.mark.parametrize(
    "line",
    [
        b"MP-C 0 token AAAA NUL\x00\r\n",
        b"AP-C 0 NUL\x00\r\n",
        b"MP-A 1 NUL\x00 x NUL\x00\r\n",
    ],
)
async def test_a_name_that_postgresql_cannot_take_is_unknown(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, line: bytes
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings), pool) as service:
        await raw(service, line)
        await (await service.car()).hears(b"Z0")


async def test_a_wrong_password_is_closed(car_service: CarService) -> None:
    peer = await car_service.connect(Role.CAR, "DEMO", b"WRONG")
    await peer.closed()
    assert peer.received == 0
    assert car_service.running.server.counters.logins == {"refused": 1}


async def test_a_password_of_any_letters_and_signs_lets_in(car_service: CarService, pool: Pool, secret_keys: str) -> None:
    password = "süß, пароль 🔑".encode()
    _, sealed = Sealer.from_setting(secret_keys).seal(password, context="DEMO")
    await pool.execute("UPDATE vehicles SET password = $1 WHERE vehicle_id = 'DEMO'", sealed)
    car, app = [await car_service.connect(role, "DEMO", password) for role in (Role.CAR, Role.APP)]
    await car.welcomed()
    car.send(b"S1")
    await app.until_hears(b"S1")


async def test_many_logins_at_once(car_service: CarService) -> None:
    peers = [await car_service.connect(Role.APP, "DEMO") for _ in range(100)]
    # No more than may fail without a delay.
    wrong = [await car_service.connect(Role.APP, "DEMO", b"WRONG") for _ in range(FREE - 1)]
    for peer in peers:
        await peer.hears(b"Z0", b"T3020399")
    for peer in wrong:
        await peer.closed()


async def test_a_password_under_a_lost_key_is_our_fault(car_service: CarService, pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, "LOST", key_id="gone")
    stranded = await car_service.connect(Role.CAR, "LOST")
    await until(lambda: car_service.running.server.connections and not car_service.running.server.desk.waiting, DEADLINE)
    await (await car_service.car()).hears(b"Z0")
    assert not stranded.is_closed
    assert stranded.received == 0
    assert len(car_service.running.server.connections) == 2


@pytest.mark.parametrize("role", Role)
async def test_garbage_right_after_the_welcome_ends_one_connection_and_no_more(car_service: CarService, role: Role) -> None:
    peer = await car_service.connect(role, "DEMO", introduce=False)
    peer.introduce(extra=b"garbage\r\n")
    await peer.closed()
    await (await car_service.car("Other-1")).hears(b"Z0")
    await (await car_service.app("Other-1")).hears(b"Z1", b"T3020399")


async def test_a_ping_is_answered(car_service: CarService) -> None:
    for peer in (await car_service.car(), await car_service.app(), await car_service.batch()):
        peer.send(b"A")
        await peer.until_hears(b"a")


async def test_garbage_ends_the_connection(car_service: CarService) -> None:
    car, app = await car_service.car(), await car_service.app()
    await app.hears(b"Z1", b"T3020399")
    car.transport.write(b"AAAAAAAAAAAAAAAAAAAAAAAA\r\n")
    await car.closed()
    await app.hears(b"Z0")


async def test_peer_counts(car_service: CarService) -> None:
    car = await car_service.car()
    await car.hears(b"Z0")
    first = await car_service.app()
    await first.hears(b"Z1", b"T3020399")
    await car.hears(b"Z1")
    second = await car_service.app()
    await car.hears(b"Z2")
    batch = await car_service.batch()
    await batch.hears(b"Z1", b"T3020399")
    assert await car.drain() == []
    first.close()
    await car.hears(b"Z1")
    await second.until_hears(b"T3020399")
    car.close()
    await second.hears(b"Z0")
    await batch.hears(b"Z0")


async def test_an_app_before_its_car(car_service: CarService) -> None:
    app = await car_service.app()
    await app.hears(b"Z0", b"T3020399")
    car = await car_service.car()
    await app.hears(b"Z1")
    await car.hears(b"Z1")


async def test_a_car_that_logs_in_again_ends_its_former_session(car_service: CarService) -> None:
    first, app = await car_service.car(), await car_service.app()
    await app.hears(b"Z1", b"T3020399")
    second = await car_service.car("demo")
    await second.hears(b"Z1")
    await first.closed()
    assert first.heard == [b"Z0", b"Z1"]
    await app.hears(b"Z0", b"Z1")
    second.send(b"S75")
    await app.hears(b"S75", b"T0")
    assert await app.drain() == []


async def write_as_another_session(service: CarService, later: int, number: int = 1) -> None:
    """What another replica writes, of a session that began so many milliseconds later and that nobody here hears of."""
    vehicle = await service.pool.fetchval("SELECT id FROM vehicles WHERE vehicle_id = 'DEMO'")
    room = service.running.server.hub.get(vehicle)
    assert room is not None
    await write_states(service.pool, [StateRow(vehicle, "S", b"other", time.time(), room.epoch + later, number, None)])


@pytest.mark.parametrize(("later", "number"), [(1, 1), (0, 1000)], ids=["a later session", "one of the same number"])
async def test_a_car_that_another_session_has_followed_unheard_is_closed_and_comes_again(
    car_service: CarService, later: int, number: int
) -> None:
    car, app = await car_service.car(), await car_service.app()
    await app.hears(b"Z1", b"T3020399")
    await write_as_another_session(car_service, later, number)
    car.send(b"S1")
    await car.closed()
    await app.hears(b"S1", b"T0", b"Z0")
    again = await car_service.car()
    again.send(b"S2")
    await again.drain()
    await car_service.written()
    assert await car_service.states() == {"S": b"2"}


async def sends_states_at_last(service: CarService, state: bytes) -> None:
    """The car's states are refused at most once: its next session has a greater number."""
    car = await service.car()
    car.send(b"S-refused")
    await car.closed()
    car = await service.car()
    car.send(b"S" + state)
    await car.drain()
    await service.written()
    assert await service.states() == {"S": state}
    assert not car.is_closed


async def test_a_session_of_a_clock_that_is_ahead_is_followed_by_a_greater_number(car_service: CarService) -> None:
    car = await car_service.car()
    await write_as_another_session(car_service, 3_600_000)
    car.close()
    await sends_states_at_last(car_service, b"2")


@pytest.mark.parametrize("by", [3600.0, -3600.0], ids=["ahead", "behind"])
async def test_a_car_moves_between_a_replica_with_redis_and_one_without_whose_clock_is_wrong(
    car_service: CarService, car_settings: dict[str, Any], pool: Pool, by: float
) -> None:
    without_redis = Settings(**car_settings | {"redis_url": f"redis://127.0.0.1:{free_port()}", "health_port": free_port()})
    async with car_service_on(without_redis, pool, system_clock=lambda: time.time() + by) as other:
        first, second = (other, car_service) if by > 0 else (car_service, other)
        car = await first.car()
        car.send(b"S1")
        await car.drain()
        await first.written()
        assert await first.states() == {"S": b"1"}
        await sends_states_at_last(second, b"2")


async def test_vehicles_are_not_mixed_up(car_service: CarService) -> None:
    other = await car_service.app("other-1")
    await other.hears(b"Z0", b"T3020399")
    car = await car_service.car()
    await car.hears(b"Z0")
    car.send(b"S1", b"PAalert")
    await car.drain()
    assert await other.drain() == []
