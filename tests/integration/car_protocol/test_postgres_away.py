"""PostgreSQL is killed, paused or full: cars stay, known vehicles come in, all others wait, and nothing is lost."""

import asyncio
import contextlib
import time
from typing import Any

import httpx
import pytest

from car_protocol import bootstrap
from car_protocol.logins import register
from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, CarService, Peer, add_vehicles, car_service_on
from fixtures.outages import Fragile
from fixtures.waiting import until
from ovms.bus.channels import revocations_channel
from ovms.db.engine import Pool, open_pool
from ovms.db.sealing import Sealer
from ovms.db.tokens import create_token
from ovms.identity import Role

ACQUIRE_WITHIN, ANSWER_WITHIN = 0.5, 0.7
"""Shorter than they are, so that a server that hangs is found out sooner."""
SLACK = 3.0
WRITTEN_WITHIN = 5.0
DRAIN = 4.0


@pytest.fixture
def database_url(fragile_database_url: str) -> str:
    return fragile_database_url


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ACQUIRE_WITHIN <= register.ACQUIRE_WITHIN
    assert ANSWER_WITHIN <= register.ANSWER_WITHIN
    monkeypatch.setattr(bootstrap, "ACQUIRE_WITHIN", ACQUIRE_WITHIN)
    monkeypatch.setattr(bootstrap, "ANSWER_WITHIN", ANSWER_WITHIN)


async def parked(service: CarService, *vehicle_ids: str) -> None:
    """Vehicles that have been here."""
    for vehicle_id in vehicle_ids:
        car = await service.car(vehicle_id)
        car.close()
        await car.closed()


async def change_password(pool: Pool, secret_keys: str, vehicle_id: str, password: bytes) -> None:
    _, sealed = Sealer.from_setting(secret_keys).seal(password, context=vehicle_id.upper())
    await pool.execute("UPDATE vehicles SET password = $1 WHERE vehicle_id = $2", sealed, vehicle_id)


def held(*peers: Peer) -> bool:
    """They are neither let in nor closed."""
    return not any(peer.is_welcome or peer.is_closed for peer in peers)


# ---- every outage


@pytest.mark.parametrize("how", ["killed", "paused", "full"])
async def test_known_vehicles_come_in_and_others_wait(
    car_service: CarService, pool: Pool, secret_keys: str, fragile: Fragile, how: str
) -> None:
    service = car_service
    await add_vehicles(pool, secret_keys, "Third", "Unknown")
    await parked(service, "Other-1", "Third")
    car = await service.car()
    async with fragile.away(how, pool):
        car.send(b"S1", b"h1,0,*-LOG-Trip,1,86400,data", b"PIhello")
        unknown = await service.connect(Role.CAR, "Unknown")
        wrong = await service.connect(Role.CAR, "Other-1", b"another password")
        other = await service.connect(Role.CAR, "Other-1")
        await other.welcomed()
        third = await service.car("Third")  # it is known by now that PostgreSQL is away
        other.send(b"S2", b"h2,0,*-LOG-Trip,2,86400,data")
        await other.drain()
        assert b"h1" not in await car.drain()
        assert held(unknown, wrong)
    began = time.monotonic()
    await asyncio.gather(
        car.until_hears(b"h1"), other.until_hears(b"h2"), unknown.welcomed(), wrong.closed(), service.written()
    )
    assert time.monotonic() - began < WRITTEN_WITHIN
    await asyncio.gather(unknown.welcomed(), wrong.closed())
    assert not wrong.is_welcome
    await third.drain()
    assert await service.states() == {"S": b"1"}
    assert await service.states("Other-1") == {"S": b"2"}
    records = {(record_type, data) for record_type, _, data in await service.history()}
    assert records == {("*-LOG-Trip", b"data"), ("*-Log-Notification", b"I,hello")}


async def test_a_car_is_not_held_up_for_long_by_a_server_that_hangs(car_service: CarService, fragile: Fragile) -> None:
    await parked(car_service, "DEMO")
    async with fragile.paused():
        began = time.monotonic()
        async with httpx.AsyncClient(timeout=DEADLINE) as client:
            health = client.get(f"http://127.0.0.1:{car_service.settings.health_port}/readyz")
            _, ready = await asyncio.gather(car_service.car(), health)
        assert time.monotonic() - began < ACQUIRE_WITHIN + ANSWER_WITHIN + SLACK
        assert (ready.status_code, ready.json()) == (503, {"port": True, "postgresql": False, "redis": True})


async def test_a_full_server_serves_the_connections_that_it_has(car_service: CarService, fragile: Fragile) -> None:
    car = await car_service.car()
    car.send(b"S1", b"h1,0,*-LOG-Trip,1,86400,data")
    await car.until_hears(b"h1")
    async with fragile.full():
        car.send(b"S2", b"h2,0,*-LOG-Trip,2,86400,data")
        await car.until_hears(b"h2")
        await car_service.car("Other-1")
    await car_service.written()
    assert await car_service.states() == {"S": b"2"}


async def test_a_service_stops_in_time_while_its_server_hangs(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, fragile: Fragile
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(car_service_on(Settings(**car_settings | {"drain_timeout": DRAIN}), pool))
        car = await service.car()
        async with fragile.paused():
            car.send(b"S1", b"h1,0,*-LOG-Trip,1,86400,data")
            await car.drain()
            held_up = await service.connect(Role.CAR, "Other-1")
            began = time.monotonic()
            await stack.aclose()
            assert time.monotonic() - began < DRAIN + SLACK
        await car.closed()
        assert b"h1" not in car.heard
        assert not held_up.is_welcome


async def test_a_restart_is_not_noticed(car_service: CarService, fragile: Fragile) -> None:
    car = await car_service.car()
    for number in range(3):
        car.send(b"S%d" % number, b"h%d,0,*-LOG-Trip,%d,86400,data" % (number, number))
        await fragile.restart()
        await car.until_hears(b"h%d" % number)
        await (await car_service.car("Other-1")).drain()
    await car_service.written()
    assert await car_service.states() == {"S": b"2"}


# ---- who is known


async def test_postgresql_has_the_last_word_when_it_is_back(
    car_service: CarService, pool: Pool, secret_keys: str, fragile: Fragile
) -> None:
    await add_vehicles(pool, secret_keys, "Third")
    await parked(car_service, "DEMO", "Other-1", "Third")
    await change_password(pool, secret_keys, "DEMO", b"a new one")
    await pool.execute("DELETE FROM vehicles WHERE vehicle_id = 'Third'")
    async with fragile.killed():
        new = await car_service.connect(Role.CAR, "DEMO", b"a new one")
        former, gone, other = [await car_service.car(name) for name in ("DEMO", "Third", "Other-1")]
        assert held(new)
    await asyncio.gather(former.closed(), gone.closed(), new.welcomed())
    await asyncio.gather(other.drain(), new.drain())


async def test_what_is_known_counts_only_while_postgresql_is_away(
    car_service: CarService, pool: Pool, secret_keys: str, fragile: Fragile
) -> None:
    await parked(car_service, "DEMO")
    async with fragile.killed():
        await car_service.car()
    await (await car_service.car("Other-1")).drain()
    await change_password(pool, secret_keys, "DEMO", b"a new one")
    await (await car_service.connect(Role.CAR, "DEMO")).closed()
    assert not (await car_service.connect(Role.CAR, "DEMO", b"a new one")).is_closed


async def test_who_has_only_tried_to_log_in_is_not_known(car_service: CarService, fragile: Fragile) -> None:
    await (await car_service.connect(Role.CAR, "DEMO", b"wrong")).closed()
    async with fragile.killed():
        car = await car_service.connect(Role.CAR, "DEMO")
        await looked_up_in_vain(car_service)
        assert held(car)
    await car.welcomed()


async def looked_up_in_vain(service: CarService) -> None:
    """Wait until a look-up has failed."""
    await until(lambda: service.running.server.desk._credentials._register.is_away, DEADLINE)


# ---- apps


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_an_app_is_shown_what_is_known_and_the_rest_when_postgresql_is_back(
    car_service: CarService, pool: Pool, fragile: Fragile, how: str
) -> None:
    car, other = await car_service.car(), await car_service.car("Other-1")
    car.send(b"V4", b"S0")
    other.send(b"W3")
    await asyncio.gather(car.drain(), other.drain())
    await car_service.written()
    other.close()
    async with fragile.away(how, pool):
        car.send(b"S1")
        await car.drain()
        app, lonely = await car_service.app(), await car_service.app("Other-1")
        await app.hears(b"Z1", b"S1", b"T*")
        await lonely.hears(b"Z0")
        car.send(b"D2")
        await app.hears(b"D2", b"T0")
        app.send(b"C7,lock")
        await car.until_hears(b"C7,lock")
        car.send(b"c7,0,locked")
        await app.hears(b"c7,0,locked")
        second = await car_service.batch()
        await second.hears(b"Z1", b"S1", b"D2", b"T*")
    for watcher in (app, second):
        await watcher.hears(b"Z1", b"S1", b"D2", b"V4", b"T*")
    await lonely.hears(b"Z0", b"W3", b"T*")
    assert await app.drain() == []


# ---- who waits


async def test_who_waits_in_vain_is_let_go_and_forgotten(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, fragile: Fragile
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings, timeout_hold=0.5), pool) as service:
        async with fragile.killed():
            impatient, patient = await service.connect(Role.CAR, "DEMO"), await service.connect(Role.APP, "DEMO")
            await looked_up_in_vain(service)
            impatient.close()
            await patient.closed()
            await until(lambda: not service.running.server.desk.waiting, DEADLINE)
            assert not patient.received
        await service.car()


async def test_a_user_waits_and_is_answered(car_service: CarService, pool: Pool, fragile: Fragile) -> None:
    async with fragile.paused():
        reader, writer = await asyncio.open_connection("127.0.0.1", car_service.port)
        writer.write(b"MP-A 1 nobody secret DEMO\r\n")
        await until(lambda: car_service.running.server.users.waiting)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(ACQUIRE_WITHIN + ANSWER_WITHIN + 0.5):
                await reader.read(1)
    assert await reader.read(1) == b"", "there is no such user"
    writer.close()


async def test_a_user_stays_while_its_credential_cannot_be_checked_and_is_closed_once_it_can(
    car_service: CarService, pool: Pool, fragile: Fragile
) -> None:
    owner = await pool.fetchval(
        "UPDATE owners SET name = 'Anna' FROM vehicles WHERE vehicle_id = 'DEMO' AND owner_id = owners.id RETURNING owners.id"
    )
    token = await create_token(pool, owner, application="a", purpose="p", permit="v2")
    reader, writer = await asyncio.open_connection("127.0.0.1", car_service.port)
    writer.write(f"MP-A 1 Anna {token} DEMO\r\n".encode())
    assert (await reader.readline()).startswith(b"MP-S 1")
    sessions = car_service.running.server.users._sessions
    await until(lambda: not sessions._due, DEADLINE)
    await pool.execute("DELETE FROM api_tokens")
    async with fragile.killed():
        await car_service.redis.publish(revocations_channel(owner), b"")
        await until(lambda: owner in sessions._due, DEADLINE)  # the check has failed, or is under way
        writer.write(b"A\r\n")
        await reader.readuntil(b"a\r\n")
    async with asyncio.timeout(DEADLINE):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("table", ["messages", "vehicles"])
async def test_a_statement_that_hangs_holds_up_no_login(car_service: CarService, pool: Pool, table: str) -> None:
    await parked(car_service, "DEMO")
    car = await car_service.car("Other-1")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        car.send(b"S1")
        await car_service.car("DEMO")
    await car_service.written()
    assert await car_service.states("Other-1") == {"S": b"1"}


# ---- what waits


async def test_a_statement_that_was_given_up_is_written_all_the_same(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, fragile: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is longer than anybody waits for a statement: 30 s, and here half a second."""

    async def open_hasty_pool(url: str, **options: Any) -> Pool:
        return await open_pool(url, **{"answer_within": 0.5, **options})

    monkeypatch.setattr(bootstrap, "open_pool", open_hasty_pool)
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings), pool) as service:
        car = await service.car()
        async with fragile.paused():
            recorder = service.running.server.recorder
            car.send(b"S1", b"h1,0,*-LOG-Trip,1,86400,data")
            await until(lambda: recorder.failures >= 2, DEADLINE)
            car.send(b"S2", b"h2,0,*-LOG-Trip,2,86400,data")
            await car.drain()
        began = time.monotonic()
        assert await car.until_hears(b"h2") == [b"h1"]
        await service.written()
        assert time.monotonic() - began < WRITTEN_WITHIN
        assert await service.states() == {"S": b"2"}
        assert [number for _, number, _ in await service.history()] == [1, 2]
