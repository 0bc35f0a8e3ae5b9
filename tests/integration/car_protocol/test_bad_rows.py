"""A row that PostgreSQL does not take never holds up the others: it is found by halving, logged and left out."""

import pytest

from car_protocol.storage.recorder import Recorder
from car_protocol.storage.store import PostgresStore
from fakes.clocks import wall_clock
from fakes.peers import car
from fakes.rooms import room
from fixtures.cars import add_vehicles
from ovms.db.engine import Pool
from ovms.db.logins import find_vehicles
from ovms.db.writer import HistoryRow, NotificationRow

NOW = 1_700_000_000
ROWS = 100
BAD = (17, 18, 60)
FAR = 10**15
"""Seconds after which PostgreSQL's time has ended."""


@pytest.fixture
async def vehicle(pool: Pool, secret_keys: str) -> int:
    [key] = await add_vehicles(pool, secret_keys, "DEMO")
    return key


@pytest.fixture
def recorder(pool: Pool) -> Recorder:
    return Recorder(
        PostgresStore(pool, repeat_after=0, pushes_wait=lambda: None, followed=lambda _: None),
        monotonic=lambda: 0.0,
        clock=wall_clock(NOW),
        tick=0.0,
        limit=10**9,
        keeps_state_history=False,
        resumed=lambda: None,
    )


async def test_states(pool: Pool, vehicle: int, recorder: Recorder) -> None:
    demo = room(vehicle)
    for number in range(ROWS):
        recorder.put_state(demo, b"%c%d" % (100 + number, number), FAR if number in BAD else 0.0)
    recorder.put_state(demo, b"\0a code that is no text", 0.0)
    await recorder.flush()
    kept = {row["data"] for row in await pool.fetch("SELECT data FROM messages")}
    assert kept == {b"%d" % number for number in range(ROWS) if number not in BAD}
    assert recorder.rows_refused == len(BAD) + 1


async def test_history(pool: Pool, vehicle: int, recorder: Recorder) -> None:
    peer = car()
    for number in range(ROWS):
        recorded_at = FAR if number in BAD else NOW
        row = HistoryRow(vehicle, "*-LOG-Trip", number, recorded_at, b"%d" % number, recorded_at + 60, str(number))
        recorder.put_history(row, (peer, b"h%d" % number))
    recorder.put_history(HistoryRow(vehicle, "a NUL \0", 0, NOW, b"", NOW + 60, "nul"), (peer, b"hnul"))
    recorder.put_history(HistoryRow(vehicle, "*-LOG-Trip", 2**70, NOW, b"", NOW + 60, "big"), (peer, b"hbig"))
    await recorder.flush()
    good = [number for number in range(ROWS) if number not in BAD]
    kept = [row["record_number"] for row in await pool.fetch("SELECT record_number FROM history ORDER BY record_number")]
    assert kept == good
    assert peer.sent == [b"h%d" % number for number in good], "only what is committed is acknowledged"
    assert recorder.rows_refused == len(BAD) + 2


async def test_notifications(pool: Pool, vehicle: int, recorder: Recorder) -> None:
    for number in range(ROWS):
        notified_at = FAR if number in BAD else NOW
        recorder.put_notification(NotificationRow(vehicle, number, notified_at, b"I%d" % number, NOW + 60, is_pushed=True))
    await recorder.flush()
    kept = {row["data"] for row in await pool.fetch("SELECT data FROM history")}
    assert kept == {b"I,%d" % number for number in range(ROWS) if number not in BAD}
    assert recorder.rows_refused == len(BAD)


async def test_names_of_keys(pool: Pool, vehicle: int, secret_keys: str, recorder: Recorder) -> None:
    [other] = await add_vehicles(pool, secret_keys, "OTHER")
    recorder.put_token(room(vehicle), "a NUL \0")
    recorder.put_token(room(other), "token")
    await recorder.flush()
    found = await find_vehicles(pool, ["DEMO", "OTHER"])
    assert (found["DEMO"].paranoid_token, found["OTHER"].paranoid_token) == ("", "token")
    assert recorder.rows_refused == 1


async def test_a_bad_row_of_one_kind_holds_up_no_other_kind(pool: Pool, vehicle: int, recorder: Recorder) -> None:
    demo, peer = room(vehicle), car()
    recorder.put_history(HistoryRow(vehicle, "*-LOG-Trip", 1, FAR, b"", FAR, "1"), (peer, b"h1"))
    recorder.put_notification(NotificationRow(vehicle, 1, FAR, b"I", NOW + 60, is_pushed=True))
    recorder.put_state(demo, b"S1", FAR)
    recorder.put_token(demo, "\0")
    await recorder.flush()
    recorder.put_state(demo, b"S2", 0.0)
    recorder.put_history(HistoryRow(vehicle, "*-LOG-Trip", 2, NOW, b"", NOW + 60, "2"), (peer, b"h2"))
    await recorder.flush()
    assert (peer.sent, recorder.rows_refused, recorder.failures) == ([b"h2"], 4, 0)
    assert await pool.fetchval("SELECT data FROM messages") == b"2"
