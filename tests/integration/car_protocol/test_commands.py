"""Commands that the car answers late, and those that are answered here: traffic, history summary and history records."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from car_protocol.connections.connection import Connection
from car_protocol.settings import Settings
from car_protocol.storage import archive
from car_protocol.storage.archive import AT_ONCE
from fixtures.cars import DEADLINE, CarService, Peer, add_vehicles, car_service_on
from fixtures.waiting import until, until_told
from ovms.db import legacy_history
from ovms.db.engine import Pool
from ovms.db.legacy_history import LegacyRecord
from ovms.db.partitions import ensure_partitions
from ovms.db.traffic import add_traffic
from ovms.db.writer import HistoryRow, write_history
from ovms.times import write_seconds

DAY = 86_400
NOW = int(time.time())
WAITING_FOR_A_LOCK = """
SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


async def key_of(pool: Pool, vehicle_id: str = "DEMO") -> int:
    return int(await pool.fetchval("SELECT id FROM vehicles WHERE vehicle_id = $1", vehicle_id))


@pytest.fixture(autouse=True)
async def partitions(pool: Pool) -> None:
    """The service makes them too, but maybe not before a test writes into them."""
    async with pool.acquire() as connection:
        await ensure_partitions(connection, datetime.now(UTC))


def record(vehicle: int, number: int, data: bytes, *, record_type: str = "*-LOG-Trip", at: int = NOW) -> HistoryRow:
    return HistoryRow(vehicle, record_type, number, at, data, at + DAY, None)


def ends_of(service: CarService, peer: Peer) -> Connection:
    """The server's end of a peer's connection."""
    port = peer.transport.get_extra_info("sockname")[1]
    [found] = [
        connection
        for connection in service.running.server.connections
        if isinstance(connection, Connection) and connection._transport.get_extra_info("peername")[1] == port
    ]
    return found


@asynccontextmanager
async def history_locked(pool: Pool) -> AsyncIterator[None]:
    """Nobody can read or write history meanwhile."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE ONLY history IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            await transaction.rollback()


async def waiting_for_a_lock(pool: Pool, count: int) -> list[int]:
    """Wait until as many statements wait for a lock; their processes."""
    async with asyncio.timeout(DEADLINE):
        while len(found := await pool.fetch(WAITING_FOR_A_LOCK)) < count:
            pass
    return [pid for (pid,) in found]


# ---- a car that answers late


async def test_an_answer_after_the_command_s_end_is_one_that_nobody_asked_for(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings, timeout_command=0.2), pool) as service:
        car, app, batch = await service.scene()
        [room] = service.running.server.hub
        app.send(b"C7,slow")
        await car.hears(b"C7,slow")
        await until(lambda: room.commands[0].ends_at <= asyncio.get_running_loop().time())
        car.send(b"c7,0,late")
        await app.hears(b"c7,0,late")
        await batch.hears(b"c7,0,late")
        app.send(b"C7,again")
        await car.hears(b"C7,again")
        car.send(b"c7,0,soon")
        await app.hears(b"c7,0,soon")
        assert await batch.drain() == []


# ---- what is answered here


async def test_there_is_nothing_at_first(car_service: CarService) -> None:
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    app.send(b"C30")
    await app.hears(b"c30,1,No GPRS utilisation data available")
    app.send(b"C31")
    await app.hears(b"c31,1,No historical data available")
    app.send(b"C32,*-LOG-Trip")
    await app.hears(b"c32,1,No historical data available")


async def test_traffic_is_told_by_day_the_newest_first(car_service: CarService, pool: Pool) -> None:
    demo, other = await key_of(pool), await key_of(pool, "Other-1")
    today = NOW // DAY * DAY
    sums = [(demo, today - DAY, 0, 11), (demo, today - DAY, 3, 14), *((demo, today, number, number + 1) for number in range(4))]
    await add_traffic(pool, [*sums, (other, today, 0, 999)], days=90)
    car, app, batch = await car_service.scene()
    for asker in (app, batch):
        asker.send(b"C30")
        await asker.hears(
            f"c30,0,1,2,{write_seconds(today)[:10]},1,2,3,4".encode(),
            f"c30,0,2,2,{write_seconds(today - DAY)[:10]},11,0,0,14".encode(),
        )
    assert await car.drain() == []


async def test_traffic_is_what_was_carried(car_service: CarService) -> None:
    """Every byte that a car and its apps were sent, and those that they sent; batch clients do not count."""
    car, app, batch = await car_service.scene()
    car.send(b"S" + b"x" * 1000)
    for watcher in (app, batch):
        await watcher.hears(b"S" + b"x" * 1000, b"T0")
    await car_service.running.server.traffic.write()
    received = car.received, app.received
    batch.send(b"C30")
    [told] = await batch.take(1)
    car_received, car_sent, apps_received, apps_sent = map(int, told.split(b",")[5:])
    assert (car_received, apps_received) == received
    assert 1000 < apps_sent + 1000 < car_sent < 2000
    await car_service.running.server.traffic.write()
    batch.send(b"C30")
    assert await batch.take(1) == [told]


async def test_the_summary_has_a_line_a_type_and_keeps_to_since(car_service: CarService, pool: Pool) -> None:
    demo = await key_of(pool)
    rows = [record(demo, number, b"12345", at=NOW - 10 * number) for number in range(3)]
    await write_history(pool, [*rows, record(demo, 0, b"x", record_type="*-LOG-Grid", at=NOW - 50)])
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    size = len("*-LOG-Trip") + len("DEMO") + 5 + 20
    grid = f"*-LOG-Grid,1,1,{len('*-LOG-Grid') + len('DEMO') + 1 + 20},{write_seconds(NOW - 50)},{write_seconds(NOW - 50)}"
    app.send(b"C31")
    await app.hears(
        f"c31,0,1,2,{grid}".encode(),
        f"c31,0,2,2,*-LOG-Trip,3,3,{3 * size},{write_seconds(NOW - 20)},{write_seconds(NOW)}".encode(),
    )
    app.send(b"C31," + write_seconds(NOW - 20).encode())
    trips = f"*-LOG-Trip,2,2,{2 * size},{write_seconds(NOW - 10)},{write_seconds(NOW)}"
    await app.hears(f"c31,0,1,1,{trips}".encode())


async def test_records_are_told_oldest_first_and_keep_to_type_and_since(car_service: CarService, pool: Pool) -> None:
    demo, other = await key_of(pool), await key_of(pool, "Other-1")
    rows = [record(demo, number, b"a,b\xff\r%d" % number, at=NOW - 10 * number) for number in range(3)]
    await write_history(pool, [*rows, record(demo, 0, b"x", record_type="*-LOG-Grid"), record(other, 0, b"secret")])
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    app.send(b"C32,*-LOG-Trip")
    await app.hears(
        *(
            b"c32,0,%d,3,*-LOG-Trip,%b,%d,a,b\xff\r%d" % (index, write_seconds(NOW - 10 * number).encode(), number, number)
            for index, number in enumerate([2, 1, 0], 1)
        )
    )
    app.send(b"C32,*-LOG-Trip," + write_seconds(NOW - 10).encode())
    await app.hears(b"c32,0,1,1,*-LOG-Trip,%b,0,a,b\xff\r0" % write_seconds(NOW).encode())
    app.send(b"C32,*-LOG-\xff\x00,never")
    await app.hears(b"c32,1,No historical data available")


async def test_types_compare_without_case(car_service: CarService, pool: Pool) -> None:
    demo = await key_of(pool)
    rows = [record(demo, 1, b"a", record_type="RT-GPS-Log"), record(demo, 1, b"b", record_type="rt-gps-log")]
    await write_history(pool, [*rows, record(demo, 2, b"c", record_type="RT-GPS-Log ", at=NOW + 1)])
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    now, later = write_seconds(NOW).encode(), write_seconds(NOW + 1).encode()
    app.send(b"C32,rt-GPS-log")
    heard = await app.take(3)
    assert sorted(line.split(b",", 4)[4] for line in heard) == [
        b"RT-GPS-Log ,%b,2,c" % later,
        b"RT-GPS-Log,%b,1,a" % now,
        b"rt-gps-log,%b,1,b" % now,
    ]
    assert [line.split(b",")[2:4] for line in heard] == [[b"1", b"3"], [b"2", b"3"], [b"3", b"3"]]
    app.send(b"C31")
    [summary] = await app.take(1)
    assert summary.startswith(b"c31,0,1,1,RT-GPS-Log,2,3,")


async def test_state_messages_are_records_of_their_code_at_most_one_a_second(car_service: CarService, pool: Pool) -> None:
    car = await car_service.car()
    car.send(b"D1", b"D2", b"D3", b"EMVsealed", b"S80,K", b"PAalert")
    await until_told(pool, "SELECT count(DISTINCT code) = 3 AND bool_or(data = '3') FROM state_history")
    app = await car_service.app()
    await app.drain()
    for asked, code, data in ((b"d", b"D", b"3"), (b"V", b"V", b"sealed"), (b"S", b"S", b"80,K")):
        app.send(b"C32," + asked)
        lines = [line for line in await app.drain() if line.startswith(b"c32")] or await app.take(1)
        count = int(lines[0].split(b",")[3])
        lines += await app.take(count - len(lines))
        assert [line.split(b",")[4] for line in lines] == [code] * count
        assert lines[-1].split(b",", 6)[6] == b"0," + data
        assert count <= 2, "what came at once came in two seconds at most"
    app.send(b"C31")
    assert {line.split(b",")[4] for line in await app.take(4)} == {b"*-Log-Notification", b"D", b"S", b"V"}


async def test_without_a_state_history_there_is_none(car_settings: dict[str, Any], pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    async with car_service_on(Settings(**car_settings, state_history=0), pool) as service:
        car = await service.car()
        car.send(b"D1")
        await until_told(pool, "SELECT count(*) = 1 FROM messages")
        await service.running.server.recorder.flush()
        assert await pool.fetchval("SELECT count(*) FROM state_history") == 0


# ---- how it is sent


async def test_a_slow_reader_gets_thousands_of_records_a_few_at_a_time(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str
) -> None:
    demo, _ = await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    count, size, limit = 3000, 6000, 512 * 1024
    assert count * size > 16 * 2**20, "more than the kernel keeps between the two"
    await write_history(pool, [record(demo, number, b"x" * size) for number in range(count)])
    async with car_service_on(Settings(**car_settings, write_buffer=limit), pool) as service:
        app = await service.app()
        await app.until_hears(b"T3020399")
        end = ends_of(service, app)
        app.transport.pause_reading()
        app.send(b"C32,*-LOG-Trip")
        await until(lambda: end._slow_since is not None, DEADLINE)
        car, watcher = await service.car("Other-1"), await service.app("Other-1")
        for number in range(100):
            car.send(b"S%d" % number)
            await watcher.until_hears(b"S%d" % number)
        assert len(app.heard) == 0
        assert end._transport.get_write_buffer_size() < 2 * limit
        app.transport.resume_reading()
        told = [line.split(b",") for line in await app.take(count)]
        assert [(int(line[2]), int(line[3]), int(line[6])) for line in told] == [(n + 1, count, n) for n in range(count)]
        assert service.running.server.counters.closed["SlowReader"] == 0


async def test_long_records_do_not_cost_a_good_reader_his_connection(car_service: CarService, pool: Pool) -> None:
    """All of them at once are more than may ever wait for a reader."""
    demo = await key_of(pool)
    data = [bytes([ord("a") + number]) * 500_000 for number in range(20)]
    assert len(data) < AT_ONCE
    await write_history(pool, [record(demo, number, one) for number, one in enumerate(data)])
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    app.send(b"C32,*-LOG-Trip")
    taken = await app.take(len(data))
    assert [hash(told[-500_000:]) for told in taken] == [hash(one) for one in data]


@pytest.mark.parametrize(("records", "size"), [(2, 10**9), (10**9, 25), (1, 1)])
async def test_records_are_read_by_pages(
    car_service: CarService, pool: Pool, monkeypatch: pytest.MonkeyPatch, records: int, size: int
) -> None:
    """Several of a moment, and one longer than a page may be; the last page ends with the last record, or is not full."""
    demo = await key_of(pool)
    data = [b"%d" % number * 10 for number in range(9)] + [b"x" * 100]
    await write_history(pool, [record(demo, number, one, at=NOW + number // 3) for number, one in enumerate(data)])
    monkeypatch.setattr(legacy_history, "PAGE_RECORDS", records)
    monkeypatch.setattr(legacy_history, "PAGE_BYTES", size)
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    app.send(b"C32,*-LOG-Trip")
    told = [line.split(b",", 7) for line in await app.take(len(data))]
    assert [(int(line[2]), int(line[3]), int(line[6]), line[7]) for line in told] == [
        (number + 1, len(data), number, one) for number, one in enumerate(data)
    ]
    assert await app.drain() == []


async def test_who_goes_meanwhile_takes_his_answer_along(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [demo] = await add_vehicles(pool, secret_keys, "DEMO")
    await write_history(pool, [record(demo, number, b"x" * 10_000) for number in range(1000)])
    pages: list[LegacyRecord | None] = []

    async def read_page(*arguments: Any) -> list[LegacyRecord]:
        pages.append(arguments[-1])
        return await legacy_history.read_page(*arguments)

    monkeypatch.setattr(archive, "read_page", read_page)
    async with car_service_on(Settings(**car_settings, write_buffer=4096), pool) as service:
        app = await service.app()
        await app.until_hears(b"T3020399")
        end, tasks = ends_of(service, app), service.running.server.archive._tasks
        app.transport.pause_reading()
        app.send(b"C32,*-LOG-Trip")
        await until(lambda: end._slow_since is not None, DEADLINE)
        assert len(tasks) == 1
        app.transport.abort()
        await until(lambda: not tasks, DEADLINE)
        assert 0 < len(pages) < 10, "all would be ten"


async def test_so_many_are_answered_at_once_and_others_are_told_to_come_again(car_service: CarService, pool: Pool) -> None:
    most, tasks = car_service.running.server.archive._most, car_service.running.server.archive._tasks
    apps = [await car_service.app() for _ in range(most + 2)]
    for app in apps:
        await app.until_hears(b"T3020399")
    async with history_locked(pool):
        for app in apps[:most]:
            app.send(b"C31")
        await until(lambda: len(tasks) == most, DEADLINE)
        for app, number in zip(apps[most:], (31, 32), strict=True):
            app.send(b"C%d" % number)
            await app.hears(b"c%d,1,Server is busy" % number)
    for app in apps[:most]:
        await app.hears(b"c31,1,No historical data available")
    apps[-1].send(b"C32,x")
    await apps[-1].hears(b"c32,1,No historical data available")


@pytest.mark.parametrize("command", [b"C30", b"C31", b"C32,x"])
async def test_the_asker_is_told_where_postgresql_fails(car_service: CarService, pool: Pool, command: bytes) -> None:
    app = await car_service.app()
    await app.until_hears(b"T3020399")
    async with history_locked(pool):
        app.send(command)
        for pid in await waiting_for_a_lock(pool, 1):
            await pool.execute("SELECT pg_terminate_backend($1)", pid)
        await app.hears(b"c%b,1,Database is not available" % command[1:3])


async def test_what_apps_tell_a_car_is_in_the_trail_of_its_owner_by_number(car_service: CarService) -> None:
    car, app, _ = await car_service.scene()
    app.send(b"C20,918273", b"EMCc2VhbGVk")
    await car.until_hears(b"EMCc2VhbGVk")
    await until_told(car_service.pool, "SELECT count(*) = 2 FROM audit", seconds=DEADLINE)
    rows = await car_service.pool.fetch(
        """SELECT actor, means, action, a.vehicle_id, detail, at > now() - interval '1 minute' AND at <= now() + interval '1 s',
             a.owner_id = v.owner_id
           FROM audit a JOIN vehicles v ON v.vehicle_id = a.vehicle_id ORDER BY a.id"""
    )
    assert [tuple(row) for row in rows] == [
        ("app", "protocol v2", "command", "DEMO", detail, True, True) for detail in ('{"number": 20}', '{"number": null}')
    ]
