"""The statements that write what cars send, against a real PostgreSQL."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.cars import add_vehicles
from ovms.db import writer
from ovms.db.engine import Pool, open_pool
from ovms.db.writer import (
    HistoryRow,
    SampleRow,
    StateRow,
    TokenRow,
    refusing_sessions,
    write_history,
    write_samples,
    write_state_history,
    write_states,
    write_tokens,
)

NOW = int(time.time())


@pytest.fixture
async def keys(pool: Pool, secret_keys: str) -> Sequence[int]:
    return await add_vehicles(pool, secret_keys, "DEMO", "OTHER")


def state(
    vehicle: int,
    code: str = "S",
    data: bytes = b"1",
    at: float = NOW,
    epoch: int = 1,
    number: int = 1,
    token: str | None = None,
) -> StateRow:
    return StateRow(vehicle, code, data, at, epoch, number, token)


def record(vehicle: int, number: int = 1, data: bytes = b"x", at: int = NOW, ack: str | None = None) -> HistoryRow:
    return HistoryRow(vehicle, "*-LOG-Trip", number, at, data, at + 86400, ack)


async def states(pool: Pool) -> dict[tuple[int, str], bytes]:
    rows = await pool.fetch("SELECT vehicle, code, data FROM messages")
    return {(row["vehicle"], row["code"]): row["data"] for row in rows}


async def records(pool: Pool) -> list[tuple[int, int, bytes]]:
    rows = await pool.fetch(
        "SELECT record_number, extract(epoch FROM recorded_at)::bigint, data FROM history ORDER BY record_number, recorded_at"
    )
    return [tuple(row) for row in rows]


# ---- states


async def test_many_states_are_written_at_once_and_replaced(pool: Pool, keys: Sequence[int]) -> None:
    demo, other = keys
    await write_states(pool, [state(demo, "S"), state(demo, "\xff", b"\x00\xff"), state(other, "S", b"2")])
    assert await states(pool) == {(demo, "S"): b"1", (demo, "\xff"): b"\x00\xff", (other, "S"): b"2"}
    await write_states(pool, [state(demo, "S", b"new", NOW + 1)])
    assert (await states(pool))[demo, "S"] == b"new"


@pytest.mark.parametrize(
    ("epoch", "number", "wins"), [(5, 8, True), (5, 7, True), (5, 6, False), (4, 100, False), (6, 1, True)]
)
@pytest.mark.parametrize("later", [-3600, 0, 3600])
async def test_the_newest_session_wins_then_the_greatest_number_whatever_the_clock_says(
    pool: Pool, keys: Sequence[int], epoch: int, number: int, later: float, wins: bool
) -> None:
    assert await write_states(pool, [state(keys[0], data=b"kept", epoch=5, number=7)])
    rows = [state(keys[0], data=b"new", at=NOW + later, epoch=epoch, number=number), state(keys[1])]
    assert await write_states(pool, rows) == wins
    assert await states(pool) == {(keys[0], "S"): b"new" if wins else b"kept", (keys[1], "S"): b"1"}


async def test_the_sessions_that_keep_states_from_being_written_are_found(pool: Pool, keys: Sequence[int]) -> None:
    demo, other = keys
    await write_states(pool, [state(demo, "S", epoch=7), state(demo, "D", epoch=9, number=5), state(other, epoch=9, number=5)])
    written = [
        state(demo, "S", epoch=8),
        state(demo, "V", epoch=1),
        state(other, epoch=9, number=5),
        state(other, "D", epoch=1),
    ]
    assert await write_states(pool, written)
    assert await refusing_sessions(pool, written) == {}
    former = [state(demo, "S", epoch=7), state(demo, "D", epoch=9, number=4), state(other, epoch=8, number=9)]
    assert not await write_states(pool, former)
    assert await refusing_sessions(pool, former) == {demo: 9, other: 9}


async def test_a_vehicle_that_is_unknown_refuses_all_of_its_statement(pool: Pool, keys: Sequence[int]) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await write_states(pool, [state(keys[0]), state(999_999)])
    assert await states(pool) == {}


@given(data=st.binary(max_size=300), code=st.integers(0x21, 0xFF).map(chr))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_bytes_are_kept(pool: Pool, keys: Sequence[int], data: bytes, code: str) -> None:
    await write_states(pool, [state(keys[0], code, data, time.time())])
    assert (await states(pool))[keys[0], code] == data


async def test_a_new_key_makes_what_was_sealed_with_others_invalid(pool: Pool, keys: Sequence[int]) -> None:
    demo, _ = keys
    await write_states(pool, [state(demo, "S", token="old"), state(demo, "D", token="new"), state(demo, "V")])
    await write_tokens(pool, [TokenRow(demo, "new", 1)])
    assert await validities(pool) == {"S": False, "D": True, "V": True}
    assert await key_of(pool, demo) == "new"


async def test_keys_of_many_vehicles_are_named_at_once(pool: Pool, keys: Sequence[int]) -> None:
    demo, other = keys
    await write_states(pool, [state(demo, "S", token="one"), state(other, "D", token="one")])
    await write_tokens(pool, [TokenRow(demo, "one", 1), TokenRow(other, "two", 1), TokenRow(999_999, "gone", 1)])
    assert await validities(pool) == {"S": True, "D": False}
    assert [await key_of(pool, key) for key in keys] == ["one", "two"]


async def test_a_key_that_a_later_session_has_replaced_elsewhere_is_refused(pool: Pool, keys: Sequence[int]) -> None:
    demo, other = keys
    await write_tokens(pool, [TokenRow(demo, "newer", 2)])
    await write_states(pool, [state(demo, "S", epoch=2, token="newer"), state(demo, "V", epoch=1)])
    await write_tokens(pool, [TokenRow(demo, "older", 1), TokenRow(other, "older", 1)])
    assert await validities(pool) == {"S": True, "V": True}
    assert [await key_of(pool, key) for key in keys] == ["newer", "older"]


async def test_a_key_that_a_later_session_seals_with_is_not_too_late(pool: Pool, keys: Sequence[int]) -> None:
    demo, _ = keys
    await write_states(pool, [state(demo, "S", token="old"), state(demo, "D", epoch=2, token="new"), state(demo, "V", epoch=3)])
    await write_tokens(pool, [TokenRow(demo, "new", 1)])
    assert await validities(pool) == {"S": False, "D": True, "V": True}
    assert await key_of(pool, demo) == "new"


async def validities(pool: Pool) -> dict[str, bool]:
    return dict(await pool.fetch("SELECT code, valid FROM messages"))


async def key_of(pool: Pool, vehicle: int) -> str:
    return str(await pool.fetchval("SELECT paranoid_token FROM vehicles WHERE id = $1", vehicle))


# ---- history


async def test_many_records_are_written_at_once(pool: Pool, keys: Sequence[int]) -> None:
    await write_history(pool, [record(keys[0], number) for number in range(2000)])
    assert await pool.fetchval("SELECT count(*) FROM history") == 2000


@pytest.mark.parametrize("acks", [("17", "18", "18"), (None, None, None), ("17", None, "17")])
@pytest.mark.parametrize("statements", [1, 3])
async def test_different_records_of_one_key_are_rows_a_microsecond_apart(
    pool: Pool, keys: Sequence[int], acks: Sequence[str | None], statements: int
) -> None:
    rows = [record(keys[0], data=data, ack=ack) for data, ack in zip((b"c", b"a", b"b"), acks, strict=True)]
    batches = [rows] if statements == 1 else [[row] for row in rows]
    for batch in batches:
        await write_history(pool, batch)
    await write_history(pool, [record(keys[0], at=NOW + 1, data=b"d")])
    for batch in batches:  # as after a commit that was not confirmed
        await write_history(pool, batch)
    found = await pool.fetch("SELECT data, extract(epoch FROM recorded_at - to_timestamp($1)) * 1000000 FROM history", NOW)
    assert sorted((int(row[1]), row[0]) for row in found) == [(0, b"c"), (1, b"a"), (2, b"b"), (1_000_000, b"d")]


async def test_the_records_of_one_second_that_two_replicas_write_in_the_same_moment_are_all_kept(
    pool: Pool, database_url: str, keys: Sequence[int]
) -> None:
    async with await open_pool(database_url, size=1) as another:
        for number in range(25):
            ours, others = (
                [record(keys[0], number, data=b"%b%d" % (name, one), ack=ack) for one in range(3)]
                for name, ack in ((b"ours", "1"), (b"others", None))
            )
            await asyncio.gather(write_history(pool, ours), write_history(another, others))
    assert await pool.fetchval("SELECT count(DISTINCT (record_number, data)) FROM history") == 25 * 6


async def test_a_repetition_is_looked_for_among_a_bounded_number_of_records(
    pool: Pool, keys: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "COMPARED", 2)
    rows = [record(keys[0], data=b"%d" % number, ack="1") for number in range(5)]
    await write_history(pool, rows)
    await write_history(pool, rows)
    assert [data for _, _, data in await records(pool)] == [b"0", b"1", b"2", b"3", b"4", b"0", b"1", b"2"]


@pytest.mark.parametrize("late", [0, 1, -1, 30, 60])
async def test_a_record_sent_again_is_the_same_row(pool: Pool, keys: Sequence[int], late: int) -> None:
    await write_history(pool, [record(keys[0], ack="17")])
    await write_history(pool, [record(keys[0], ack="17", at=NOW + late)])
    assert await records(pool) == [(1, NOW, b"x")]


@pytest.mark.parametrize(
    "other",
    [
        {"ack": "18", "at": NOW + 1},
        {"ack": "17", "at": NOW + 61},
        {"ack": "17", "at": NOW + 1, "data": b"y"},
        {"ack": "17", "at": NOW + 1, "number": 2},
        {"ack": None, "at": NOW + 1},
    ],
)
async def test_another_record_is_another_row(pool: Pool, keys: Sequence[int], other: dict[str, object]) -> None:
    await write_history(pool, [record(keys[0], ack="17")])
    await write_history(pool, [record(keys[0], **other)])  # type: ignore[arg-type]
    assert len(await records(pool)) == 2


async def test_records_of_different_vehicles_are_different_rows(pool: Pool, keys: Sequence[int]) -> None:
    await write_history(pool, [record(key, ack="17") for key in keys])
    await write_history(pool, [record(key, ack="17", at=NOW + 1) for key in keys])
    assert await pool.fetchval("SELECT count(*) FROM history") == 2


async def test_records_of_a_vehicle_that_has_gone_are_dropped_without_a_word(pool: Pool, keys: Sequence[int]) -> None:
    await write_history(pool, [record(999_999), record(keys[0])])
    assert await records(pool) == [(1, NOW, b"x")]


@pytest.mark.parametrize("at", [0, 1, 4_102_444_800, 7_258_118_400])
async def test_any_time_has_a_partition(pool: Pool, keys: Sequence[int], at: int) -> None:
    await write_history(pool, [record(keys[0], at=at, ack="1")])
    assert await records(pool) == [(1, at, b"x")]


async def test_a_record_that_two_replicas_write_in_the_same_moment_is_kept_once(
    pool: Pool, database_url: str, keys: Sequence[int]
) -> None:
    async with await open_pool(database_url, size=1) as another:
        for number in range(100):
            first = record(keys[0], number, ack=str(number))
            again = first._replace(recorded_at=NOW - 1)
            await asyncio.gather(write_history(pool, [first]), write_history(another, [again]))
    assert [found[0] for found in await records(pool)] == list(range(100))


async def test_a_sample_is_written_once_and_only_of_a_vehicle_that_exists(pool: Pool, keys: Sequence[int]) -> None:
    row = SampleRow(keys[0], "L", NOW + 0.25, b"47.1,8.5", NOW + 60)
    await write_samples(pool, [row, row._replace(vehicle=-1)])
    await write_samples(pool, [row._replace(data=b"other"), row._replace(code="S")])

    rows = await pool.fetch(
        "SELECT code, data, extract(epoch FROM recorded_at)::float8, extract(epoch FROM expires_at)::float8 FROM samples "
        "ORDER BY code"
    )
    assert [tuple(found) for found in rows] == [
        ("L", b"47.1,8.5", NOW + 0.25, NOW + 60.0),
        ("S", b"47.1,8.5", NOW + 0.25, NOW + 60.0),
    ]


async def test_the_last_message_of_a_second_is_kept_of_each_code_of_a_vehicle_that_exists(
    pool: Pool, keys: Sequence[int]
) -> None:
    await write_state_history(pool, NOW, [(keys[0], "D", b"1"), (keys[0], "\xff", b"\0\xff"), (-1, "D", b"x")])
    await write_state_history(pool, NOW, [(keys[0], "D", b"2"), (keys[1], "D", b"3")])
    await write_state_history(pool, NOW + 1, [(keys[0], "D", b"4")])

    rows = await pool.fetch("SELECT vehicle, code, extract(epoch FROM recorded_at)::bigint, data FROM state_history")
    assert {tuple(row) for row in rows} == {
        (keys[0], "D", NOW, b"2"),
        (keys[0], "\xff", NOW, b"\0\xff"),
        (keys[1], "D", NOW, b"3"),
        (keys[0], "D", NOW + 1, b"4"),
    }
