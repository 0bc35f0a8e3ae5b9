"""What a car sends: who hears it, what is stored of it, and what greets an app with it."""

import asyncio

import pytest

from fixtures.cars import DEADLINE, CarService
from ovms.db.engine import Pool

STATUS = (
    b"S75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,4,0,0,0,0,160.25,200,120,0,0,0,0,0,95,0,0,310,"
    b"2,3.6,398.5,98.5,3.7,97.2,-9.1,22,4.3,4.5,1203.4,40.2,0"
)
DOORS = b"D213,216,4,45,40,22,1234,456789,88,3600,21,2,1,1,12.8,4,12.7,16,33,1.2,20"
LOCATION = b"L22.274165,114.185715,124,34,1,1,88,1234,1,-3.6,1200,320,7.5,93,AA,9,1.1,87,98"
TYRES = b"W31.2,22,32.1,23,30.9,24,31.7,25,1"
FIRMWARE = b"F3.3.004-12-g1a2b3c,WVWZZZAUZFW000001,23,1,VWEG,Hologram,12000,8640000,OVMS v3.1,LTE"
WAITING_FOR_A_LOCK = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
CAPABILITIES = b"VC1-6,C10-12,C15-24,C40-41,C49"


async def test_messages_reach_apps_and_batch_clients(car_service: CarService) -> None:
    car, app, batch = await car_service.scene()
    car.send(STATUS, DOORS, LOCATION, TYRES, FIRMWARE, CAPABILITIES)
    expected = [STATUS, b"T0", DOORS, b"T0", LOCATION, b"T0", TYRES, b"T0", FIRMWARE, b"f*", b"T0", CAPABILITIES, b"T0"]
    await app.hears(*expected)
    await batch.hears(*expected)
    assert await car.drain() == []


@pytest.mark.parametrize("is_written", [True, False])
async def test_stored_messages_greet_an_app(car_service: CarService, is_written: bool) -> None:
    car = await car_service.car()
    car.send(LOCATION, DOORS, FIRMWARE, STATUS, CAPABILITIES, TYRES)
    await car.drain()
    if is_written:
        await car_service.written()
    expected = [b"Z1", FIRMWARE, STATUS, DOORS, LOCATION, CAPABILITIES, TYRES, b"T*"]
    await (await car_service.app()).hears(*expected)
    await (await car_service.batch()).hears(*expected)


async def test_the_newest_message_wins(car_service: CarService) -> None:
    car = await car_service.car()
    for soc in range(10, 60, 10):
        car.send(b"S%d,K,0,0,stopped,standard,%d,%d" % (soc, soc, soc))
    await car.drain()
    newest = b"S50,K,0,0,stopped,standard,50,50"
    await (await car_service.app()).hears(b"Z1", newest, b"T*")
    await car_service.written()
    assert await car_service.states() == {"S": newest[1:]}
    await (await car_service.app()).hears(b"Z1", newest, b"T*")


async def test_what_a_car_sent_in_an_earlier_session_is_replaced(car_service: CarService) -> None:
    for session in range(3):
        car = await car_service.car()
        car.send(b"S%d" % session, b"D%d" % session)
        await car.drain()
        await car_service.written()
        assert await car_service.states() == {"S": b"%d" % session, "D": b"%d" % session}


async def test_an_unknown_code_is_state(car_service: CarService) -> None:
    car, app, _ = await car_service.scene()
    car.send(b"x1,2,3", b"\xe4\x00\xff\xfe")
    await app.hears(b"x1,2,3", b"T0", b"\xe4\x00\xff\xfe", b"T0")
    await car_service.written()
    await (await car_service.app()).hears(b"Z1", b"x1,2,3", b"\xe4\x00\xff\xfe", b"T*")
    assert await car_service.states() == {"x": b"1,2,3", "ä": b"\x00\xff\xfe"}


@pytest.mark.parametrize("size", [256, 905, 64 * 1024 - 1])
async def test_a_long_message_is_kept(car_service: CarService, size: int) -> None:
    car, app, _ = await car_service.scene()
    message = b"F" + b"9" * size
    car.send(message)
    await app.hears(message, b"f*", b"T0")
    await car_service.written()
    await (await car_service.app()).hears(b"Z1", message, b"T*")


async def test_a_line_of_megabytes_passes(car_service: CarService) -> None:
    car, app, _ = await car_service.scene()
    message = b"c7,0," + b"x" * 1_200_000
    car.send(message)
    await app.hears(message)
    car.send(b"S1")
    await app.hears(b"S1", b"T0")


async def test_notifications_reach_who_is_there(car_service: CarService) -> None:
    car, app, batch = await car_service.scene()
    told = (b"PIVehicle is charging\rSOC: 75%", b"PAVehicle is stopped, not charging!")
    car.send(*told)
    await app.hears(*told)
    await batch.hears(*told)
    await (await car_service.app()).hears(b"Z1", b"T3020399")


async def test_a_message_of_an_app_reaches_the_car(car_service: CarService) -> None:
    car, app, batch = await car_service.scene()
    app.send(b"x1,2", b"q")
    await car.hears(b"x1,2", b"q")
    batch.send(b"x1,2")
    await batch.drain()
    assert await car.drain() == []


# ---- history


async def test_history_is_acknowledged_when_it_is_in_the_table(car_service: CarService) -> None:
    car = await car_service.car()
    car.send(b"h17,-3600,*-LOG-Trip,5,86400,first,record", b"h18,0,*-LOG-Trip,6,86400,second,record")
    await car.hears(b"Z0", b"h17", b"h18")
    assert await car_service.history() == [("*-LOG-Trip", 5, b"first,record"), ("*-LOG-Trip", 6, b"second,record")]


async def test_history_sent_again_is_one_row_and_every_time_acknowledged(car_service: CarService) -> None:
    car = await car_service.car()
    await car.hears(b"Z0")
    for late in (0, -1, 1):
        car.send(b"h17,%d,*-LOG-Trip,5,86400,data" % late)
        await car.hears(b"h17")
    car.send(*[b"h18,%d,*-LOG-Trip,6,86400,data" % -late for late in range(3)])
    await car.hears(b"h18", b"h18", b"h18")
    assert sorted(await car_service.history()) == [("*-LOG-Trip", 5, b"data"), ("*-LOG-Trip", 6, b"data")]


async def test_history_is_acknowledged_in_order_the_malformed_too(car_service: CarService) -> None:
    car = await car_service.car()
    car.send(b"h1,0,*-LOG-Trip,1,86400,data", b"h19,0,too,few", b"h2,0,*-LOG-Trip,2,86400,data")
    await car.hears(b"Z0", b"h1", b"h19", b"h2")


async def test_different_records_of_one_second_are_kept(car_service: CarService) -> None:
    car = await car_service.car()
    record = b"h%d,%d,*-OVM-DebugCrash,0,86400,%b"
    car.send(b"H*-OVM-DebugCrash,0,86400,one", b"H*-OVM-DebugCrash,0,86400,two")
    await car.drain()
    car.send(record % (1, -5000, b"three"), record % (2, -5000, b"four"))
    await car.hears(b"h1", b"h2")
    assert [data for _, _, data in await car_service.history()] == [b"three", b"four", b"one", b"two"]


async def test_nothing_is_acknowledged_before_its_commit(car_service: CarService, pool: Pool) -> None:
    car = await car_service.car()
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE ONLY history IN ACCESS EXCLUSIVE MODE")
        car.send(b"h17,0,*-LOG-Trip,5,86400,data")
        async with asyncio.timeout(DEADLINE):
            while not await pool.fetchval(WAITING_FOR_A_LOCK):
                pass
        assert await car.drain() == [b"Z0"]
        await transaction.rollback()
    await car.hears(b"h17")
    assert await car_service.history() == [("*-LOG-Trip", 5, b"data")]


# ---- bad rows and vehicles that go


async def test_a_vehicle_that_is_removed_does_not_hold_up_the_others(car_service: CarService, pool: Pool) -> None:
    car, other = await car_service.car(), await car_service.car("Other-1")
    await pool.execute("DELETE FROM vehicles WHERE vehicle_id = 'DEMO'")
    car.send(b"S1", b"h1,0,*-LOG-Trip,1,86400,data")
    other.send(b"S2", b"h2,0,*-LOG-Trip,2,86400,data")
    await other.until_hears(b"h2")
    await car_service.written()
    assert await car_service.states("Other-1") == {"S": b"2"}
    assert await pool.fetchval("SELECT count(*) FROM messages") == 1
    assert await pool.fetchval("SELECT count(*) FROM history") == 1
