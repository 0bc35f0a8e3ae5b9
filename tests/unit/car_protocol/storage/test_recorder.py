"""What cars send, written in batches: nothing is lost, the newest wins, and only what is committed is acknowledged."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from car_protocol.storage import lane
from car_protocol.storage import recorder as module
from car_protocol.storage.recorder import Recorder
from fakes.peers import FakePeer, car
from fakes.rooms import room
from fakes.stores import FakeStore
from fixtures.waiting import until
from ovms.db.engine import UNAVAILABLE
from ovms.db.logins import StoredMessage
from ovms.db.writer import HistoryRow, StateRow
from unit.car_protocol.storage.recorders import NOW, WALL_OFFSET, recorder, row, states

DEMO, OTHER = room(1, "DEMO"), room(2, "OTHER")


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


async def run_until(recorder: Recorder, condition: object) -> None:
    task = asyncio.create_task(recorder.run())
    try:
        await until(condition)  # type: ignore[arg-type]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- states


async def test_the_newest_of_each_vehicle_and_code_is_written_in_one_statement(store: FakeStore) -> None:
    writes = recorder(store)
    for number in range(100):
        writes.put_state(DEMO, b"S%d" % number, NOW + number)
        writes.put_state(DEMO, b"L%d" % number, NOW + number)
        writes.put_state(OTHER, b"S%d" % -number, NOW + number)
    await writes.flush()
    assert states(store) == {(1, "S"): b"99", (1, "L"): b"99", (2, "S"): b"-99"}
    assert len(store.statements) == 1
    assert (writes.rows_written, writes.batch_rows.count) == (3, 1)
    await writes.flush()
    assert len(store.statements) == 1


async def test_a_row_has_the_wire_s_bytes_the_unix_time_and_the_version(store: FakeStore) -> None:
    writes, demo = recorder(store), room(7, "Seven")
    demo.epoch, demo.message_number = 42, 7
    writes.put_state(demo, b"\xe9\x00\xff\xfe", NOW)
    await writes.flush()
    [kept] = store.states.values()
    assert kept[:6] == (7, "\xe9", b"\x00\xff\xfe", WALL_OFFSET + NOW, 42, 7)


async def test_rows_are_written_in_the_order_of_their_keys(store: FakeStore) -> None:
    writes = recorder(store)
    for key in (3, 1, 2):
        writes.put_state(room(key), b"S", NOW)
        writes.put_state(room(key), b"D", NOW)
    await writes.flush()
    assert [kept[:2] for kept in store.statements[0]] == [(1, "D"), (1, "S"), (2, "D"), (2, "S"), (3, "D"), (3, "S")]


async def test_many_rows_are_cut_into_statements(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    writes = recorder(store)
    for key in range(25):
        writes.put_state(room(key), b"S%d" % key, NOW)
        writes.put_history(row(key), None)
    await writes.flush()
    assert [len(rows) for rows in store.statements] == [10, 10, 5, 10, 10, 5]
    assert len(store.states) == len(store.history) == 25
    assert writes._bytes == 0


@pytest.mark.parametrize(
    "failure",
    [
        OSError("gone"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        # What asyncpg says of a connection whose server was killed, until it has noticed.
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
)
async def test_a_failure_gives_everything_back_and_what_came_meanwhile_wins(store: FakeStore, failure: Exception) -> None:
    writes = recorder(store)
    writes.put_state(DEMO, b"Sold", NOW)
    writes.put_state(DEMO, b"Dkept", NOW)
    store.failures.append(failure)
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_state(DEMO, b"Snew", NOW + 1)
    store.open.set()
    with pytest.raises(UNAVAILABLE):
        await flushing
    assert store.states == {}
    assert writes.pending(DEMO.vehicle)[ord("S")].message == b"Snew"
    await writes.flush()
    assert states(store) == {(1, "S"): b"new", (1, "D"): b"kept"}
    assert writes._bytes == 0


async def test_a_failure_between_two_statements_gives_back_what_is_not_written(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    writes = recorder(store)
    for key in range(6):
        writes.put_state(room(key), b"S", NOW)
    store.failures += [None, OSError("gone")]
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    assert len(store.states) == 1
    await writes.flush()
    assert len(store.states) == 6
    assert writes._bytes == 0


async def test_a_message_that_comes_during_a_write_makes_the_next_batch(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_state(DEMO, b"S1", NOW)
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_state(DEMO, b"S2", NOW + 1)
    store.open.set()
    await flushing
    assert states(store) == {(1, "S"): b"1"}
    await writes.flush()
    assert states(store) == {(1, "S"): b"2"}


async def test_pending_is_what_waits_and_what_is_being_written(store: FakeStore) -> None:
    writes = recorder(store)
    assert writes.pending(DEMO.vehicle) == {}
    writes.put_state(DEMO, b"S1", NOW)
    writes.put_state(DEMO, b"D1", NOW)
    writes.put_state(OTHER, b"L1", NOW)
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_state(DEMO, b"S2", NOW + 1)
    at = WALL_OFFSET + NOW
    assert writes.pending(DEMO.vehicle) == {ord("S"): StoredMessage(b"S2", at + 1), ord("D"): StoredMessage(b"D1", at)}
    store.open.set()
    await flushing
    assert writes.pending(DEMO.vehicle) == {ord("S"): StoredMessage(b"S2", at + 1)}
    await writes.flush()
    assert writes.pending(DEMO.vehicle) == {}


async def test_a_row_is_of_the_session_that_it_came_in_however_late_it_is_written(store: FakeStore) -> None:
    writes, demo = recorder(store), room()
    store.keep_states([StateRow(1, "S", b"elsewhere", WALL_OFFSET, 6, 1, None)])
    demo.epoch = 5
    writes.put_state(demo, b"Sbefore", NOW)
    writes.put_state(demo, b"Dbefore", NOW)
    store.failures.append(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    demo.epoch = 7
    writes.put_state(demo, b"Lsince", NOW)
    assert {chr(code): kept.epoch for code, kept in writes.pending(demo.vehicle).items()} == {"S": 5, "D": 5, "L": 7}
    await writes.flush()
    assert states(store) == {(1, "S"): b"elsewhere", (1, "D"): b"before", (1, "L"): b"since"}
    assert {key: kept.epoch for key, kept in store.states.items()} == {(1, "S"): 6, (1, "D"): 5, (1, "L"): 7}


# ---- keys of paranoid mode


async def test_a_new_key_ends_what_was_sealed_with_others_and_that_had_replaced_what_was_before(store: FakeStore) -> None:
    writes, demo = recorder(store), room()
    for code in b"SDL":
        writes.put_state(demo, b"%cplain" % code, NOW)
    await writes.flush()
    writes.put_token(demo, "first")
    writes.put_state(demo, b"Sfirst", NOW, "first")
    writes.put_state(demo, b"Dfirst", NOW, "first")
    writes.put_token(demo, "second")
    writes.put_state(demo, b"Dsecond", NOW, "second")
    assert {chr(code): kept.sealed_with for code, kept in writes.pending(demo.vehicle).items()} == {"S": "first", "D": "second"}
    await writes.flush()
    assert states(store) == {(1, "D"): b"second", (1, "L"): b"plain"}
    assert store.tokens == {1: "second"}
    assert writes._bytes == 0


async def test_what_is_sealed_with_a_key_while_its_end_is_near_is_written_before_that(store: FakeStore) -> None:
    """A statement is on its way; what comes meanwhile is for the next one, and so is the key that ends it."""
    writes, demo = recorder(store), room()
    writes.put_token(demo, "first")
    writes.put_state(demo, b"Sfirst", NOW, "first")
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_state(demo, b"Dfirst", NOW, "first")
    writes.put_token(demo, "second")
    assert writes.pending_token(1) == "second"
    store.open.set()
    await flushing
    assert store.tokens == {1: "first"}
    await writes.flush()
    assert states(store) == {}
    assert (store.tokens, writes.pending_token(1)) == ({1: "second"}, None)


@pytest.mark.parametrize("fails", ["states", "tokens"])
async def test_keys_wait_with_what_was_sealed(store: FakeStore, fails: str) -> None:
    writes, demo = recorder(store), room()
    writes.put_state(demo, b"Sformer", NOW, "former")
    writes.put_token(demo, "one")
    store.failures += [OSError("gone")] if fails == "states" else [None, OSError("gone")]
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    assert (writes.pending_token(1), writes.pending_token(2)) == ("one", None)
    writes.put_state(demo, b"Done", NOW, "one")
    store.open.set()
    with pytest.raises(OSError, match="gone"):
        await flushing
    assert store.tokens == {}
    assert writes.pending_token(1) == "one"
    await writes.flush()
    assert states(store) == {(1, "D"): b"one"}
    assert store.tokens == {1: "one"}
    assert writes._bytes == 0


async def test_a_key_that_is_named_while_the_former_waits_is_the_one(store: FakeStore) -> None:
    writes, demo = recorder(store), room()
    writes.put_token(demo, "former")
    store.failures.append(OSError("gone"))
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_token(demo, "newer")
    store.open.set()
    with pytest.raises(OSError, match="gone"):
        await flushing
    await writes.flush()
    assert store.tokens == {1: "newer"}


async def test_many_keys_are_cut_into_statements_and_a_bad_one_holds_up_none(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    writes = recorder(store)
    for key in range(25):
        writes.put_token(room(key), "token")
    store.refuses = lambda kept: kept.vehicle == 3
    await writes.flush()
    assert sorted(store.tokens) == [key for key in range(25) if key != 3]
    assert max(map(len, store.statements)) == 10
    assert writes.rows_refused == 1


# ---- bad rows


@pytest.mark.parametrize(
    "error", [asyncpg.DataError("bad"), asyncpg.ForeignKeyViolationError("gone"), ValueError(), OverflowError()]
)
async def test_a_bad_row_is_found_and_the_others_are_written(store: FakeStore, error: Exception) -> None:
    writes = recorder(store)
    for key in range(20):
        writes.put_state(room(key), b"S", NOW)
    store.refuses = lambda kept: kept[0] in (3, 17)
    store.failures.append(error)
    await writes.flush()
    assert sorted(key for key, _ in store.states) == [key for key in range(20) if key not in (3, 17)]
    assert writes.rows_refused == 2
    assert writes.rows_written == 18
    assert writes._bytes == 0


async def test_a_bad_record_is_not_acknowledged_and_the_others_are(store: FakeStore) -> None:
    writes, good, bad = recorder(store), car(), car()
    for number in range(8):
        peer = bad if number == 5 else good
        writes.put_history(row(number, ack=str(number)), (peer, b"h%d" % number))
    store.refuses = lambda kept: kept.record_number == 5
    await writes.flush()
    assert good.take() == [b"h%d" % number for number in range(8) if number != 5]
    assert bad.take() == []
    assert len(store.history) == 7
    assert writes._bytes == 0


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ReadOnlySQLTransactionError("failover"),
        asyncpg.DeadlockDetectedError("again"),
        asyncpg.CheckViolationError('new row for relation "history_default" violates partition constraint'),
    ],
)
async def test_a_refusal_that_passes_loses_nothing(store: FakeStore, error: Exception) -> None:
    writes = recorder(store)
    writes.put_state(DEMO, b"S1", NOW)
    store.failures.append(error)
    await run_until(writes, lambda: store.states or writes.rows_refused)
    assert states(store) == {(1, "S"): b"1"}


# ---- history


async def test_a_record_is_acknowledged_after_its_commit_and_once(store: FakeStore) -> None:
    writes, peer = recorder(store), car()
    writes.put_history(row(1, ack="17"), (peer, b"h17"))
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    assert peer.sent == []
    store.open.set()
    await flushing
    assert peer.take() == [b"h17"]
    await writes.flush()
    assert peer.take() == []
    assert len(store.history) == 1


async def test_nothing_is_acknowledged_while_the_store_fails(store: FakeStore) -> None:
    writes, peer = recorder(store), car()
    writes.put_history(row(1, ack="17"), (peer, b"h17"))
    for _ in range(3):
        store.failures.append(OSError("gone"))
        with pytest.raises(OSError, match="gone"):
            await writes.flush()
    assert peer.sent == []
    await writes.flush()
    assert peer.take() == [b"h17"]


@pytest.mark.parametrize("when", ["before", "while", "after", "while it fails"])
async def test_a_record_sent_again_is_one_row_and_every_time_acknowledged(store: FakeStore, when: str) -> None:
    writes, first, again = recorder(store), car(), car()
    at = 1_700_001_000
    writes.put_history(row(1, ack="17", at=at), (first, b"h17"))
    sent_again = (row(1, ack="17", at=at + 1), (again, b"h17"))
    if when == "before":
        writes.put_history(*sent_again)
    elif when == "after":
        await writes.flush()
        writes.put_history(*sent_again)
    else:
        store.open.clear()
        if when == "while it fails":
            store.failures.append(OSError("gone"))
        flushing = asyncio.create_task(writes.flush())
        await until(lambda: store.writing)
        writes.put_history(*sent_again)
        store.open.set()
        await asyncio.gather(flushing, return_exceptions=True)
    await writes.flush()
    await writes.flush()
    assert len(store.history) == 1
    assert first.take() == again.take() == [b"h17"]
    assert writes._bytes == 0


async def test_different_records_of_one_key_are_all_written_and_acknowledged(store: FakeStore) -> None:
    writes, peer = recorder(store), car()
    writes.put_history(row(1, ack="17", data=b"same"), (peer, b"h17"))
    writes.put_history(row(1, ack="18", data=b"same"), (peer, b"h18"))
    writes.put_history(row(1, ack="18", data=b"other"), (peer, b"h18"))
    await writes.flush()
    assert [(kept.ack_code, kept.data) for kept in store.history] == [("17", b"same"), ("18", b"same"), ("18", b"other")]
    assert peer.take() == [b"h17", b"h18", b"h18"]
    assert writes._bytes == 0


async def test_different_records_without_acknowledgement_are_all_written(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_history(row(1, data=b"one"), None)
    writes.put_history(row(1, data=b"the second"), None)
    writes.put_history(row(1, data=b"one", at=1_700_001_001), None)
    writes.put_history(row(1, data=b"one"), None)
    await writes.flush()
    written = [(1_700_001_000, b"one"), (1_700_001_000, b"the second"), (1_700_001_001, b"one")]
    assert [(kept.recorded_at, kept.data) for kept in store.history] == written
    assert writes._bytes == 0


async def test_a_record_that_comes_while_the_write_of_another_of_its_key_fails_replaces_nothing(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_history(row(1, data=b"a longer one"), None)
    store.failures.append(OSError("gone"))
    store.open.clear()
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_history(row(1, data=b"two"), None)
    writes.put_history(row(1, data=b"a longer one"), None)
    store.open.set()
    await asyncio.gather(flushing, return_exceptions=True)
    await writes.flush()
    assert [kept.data for kept in store.history] == [b"a longer one", b"two"]
    assert writes._bytes == 0


async def test_who_has_gone_gets_no_acknowledgement_and_the_row_stays(store: FakeStore) -> None:
    class Gone(FakePeer):
        def send(self, message: bytes, now: float) -> None:
            """Who is gone hears nothing."""

    writes = recorder(store)
    writes.put_history(row(1, ack="17"), (Gone(), b"h17"))
    await writes.flush()
    assert len(store.history) == 1


async def test_an_answer_in_order_comes_after_the_acknowledgements_that_wait(store: FakeStore) -> None:
    writes, peer = recorder(store), car()
    writes.send_in_order(peer, b"h0", NOW)
    assert peer.take() == [b"h0"]
    writes.put_history(row(1, ack="1"), (peer, b"h1"))
    writes.put_history(row(2, ack="2"), (peer, b"h2"))
    writes.send_in_order(peer, b"h3", NOW)
    assert peer.take() == []
    await writes.flush()
    assert peer.take() == [b"h1", b"h2", b"h3"]


# ---- the bound


async def test_past_the_limit_it_is_full_until_all_is_written(store: FakeStore) -> None:
    resumed: list[bool] = []
    writes = recorder(store, limit=1000, resumed=lambda: resumed.append(True))
    writes.put_state(DEMO, b"S" + b"x" * 500, NOW)
    assert not writes.is_full
    writes.put_history(row(1, data=b"x" * 500), None)
    assert writes.is_full
    store.failures.append(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await writes.flush()
    assert writes.is_full
    assert resumed == []
    await writes.flush()
    assert not writes.is_full
    assert resumed == [True]


async def test_a_burst_of_one_code_never_fills_it(store: FakeStore) -> None:
    writes = recorder(store, limit=1000)
    for number in range(1000):
        writes.put_state(DEMO, b"S%0100d" % number, NOW)
    assert not writes.is_full


# ---- the writer


async def test_it_writes_by_itself_and_again_when_the_store_is_back(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "RETRY_AFTER", 0.0)
    writes = recorder(store)
    store.failures += [OSError("gone"), TimeoutError(), asyncpg.CannotConnectNowError("starting")]
    writes.put_state(DEMO, b"S1", NOW)
    await run_until(writes, lambda: store.states)
    assert states(store) == {(1, "S"): b"1"}
    assert writes.failures == 3


async def test_two_flushes_at_once_lose_nothing(store: FakeStore) -> None:
    """The service flushes as it stops, while its writer may be in the middle of a write."""
    writes = recorder(store)
    writes.put_state(DEMO, b"S1", NOW)
    store.open.clear()
    first = asyncio.create_task(writes.flush())
    await until(lambda: store.writing)
    writes.put_state(DEMO, b"D2", NOW)
    second = asyncio.create_task(writes.flush())
    await asyncio.sleep(0)
    store.open.set()
    await asyncio.gather(first, second)
    assert states(store) == {(1, "S"): b"1", (1, "D"): b"2"}
    assert writes._bytes == 0


async def test_two_statements_of_records_are_on_their_way_at_once_and_acknowledged_in_order(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    writes, peer, is_committed = recorder(store), car(), asyncio.Event()
    write = store.write_history

    async def first_is_slow(rows: Sequence[HistoryRow]) -> None:
        if rows[0].record_number == 0:
            await is_committed.wait()
        await write(rows)

    store.write_history = first_is_slow  # type: ignore[method-assign]
    for number in range(7):
        writes.put_history(row(number, ack=str(number)), (peer, b"h%d" % number))
    flushing = asyncio.create_task(writes.flush())
    await until(lambda: len(store.history) == 2)
    assert peer.sent == []
    is_committed.set()
    await flushing
    assert peer.sent == [b"h%d" % number for number in range(7)]
    assert len(store.history) == 7


@pytest.mark.parametrize("fails", [0, 1, 2])
async def test_what_was_committed_beside_a_failure_is_written_again_and_acknowledged_once(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    writes, peer = recorder(store), car()
    for number in range(6):
        writes.put_history(row(number, ack=str(number)), (peer, b"h%d" % number))
    store.failures = [None] * fails + [ConnectionResetError()]
    with pytest.raises(ConnectionResetError):
        await writes.flush()
    assert peer.sent == [b"h%d" % number for number in range(2 * fails)]
    await writes.flush()
    assert peer.sent == [b"h%d" % number for number in range(6)]
    assert len(store.history) == 6
    assert (writes._bytes, writes.acknowledgements) == (0, 0)


async def test_a_writer_that_is_stopped_in_a_write_gives_back_what_it_had(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_state(DEMO, b"S1", NOW)
    writes.put_history(row(1, ack="17"), (car(), b"h17"))
    store.open.clear()
    task = asyncio.create_task(writes.run())
    await until(lambda: store.writing)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    store.open.set()
    await writes.flush()
    assert states(store) == {(1, "S"): b"1"}
    assert len(store.history) == 1


# ---- what is counted


async def test_acknowledgements_wait_until_the_commit(store: FakeStore) -> None:
    writes, peer = recorder(store), car()
    writes.put_history(row(1, ack="1"), (peer, b"h1"))
    writes.put_history(row(1, ack="1"), (peer, b"h1"))
    writes.put_history(row(2), None)
    writes.send_in_order(peer, b"h2", NOW)
    assert writes.acknowledgements == 3
    store.failures = [ConnectionRefusedError()]
    with pytest.raises(ConnectionRefusedError):
        await writes.flush()
    assert writes.acknowledgements == 3
    await writes.flush()
    assert writes.acknowledgements == 0
    assert peer.sent == [b"h1", b"h1", b"h2"]


async def test_a_statement_is_timed_and_its_rows_counted(store: FakeStore) -> None:
    writes = recorder(store)
    writes.put_state(DEMO, b"S1", NOW - 2.0)
    writes.put_state(OTHER, b"S1", NOW - 2.0)
    await writes.flush()
    assert (writes.batch_rows.sum, writes.batch_seconds.count) == (2, 1)
    assert (writes.age.sum, writes.age.count) == (2.0, 1)
    assert writes.unwritten_bytes == 0
