"""Writes what cars send to PostgreSQL, in batches, without any car waiting for it.

Of each (vehicle, code) only the newest message is kept, so a burst costs one row; notifications and history records are kept
all, a record with those who wait for its acknowledgement, and so are samples of states. On a tick all are written; what comes
meanwhile makes the next batch. While PostgreSQL is away everything waits here: of states one message a vehicle and code, and
samples up to a bound of their own. Past `limit` bytes of all but these `is_full` asks the connections to read no more, so that
the rest waits in the cars' own send buffers.

A state is of the session that it came in, however late it is written: a car may have moved to another replica meanwhile, and
come back. A key of paranoid mode is named after all that came before it was written: that ends what was sealed with another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import asyncpg
import structlog

from car_protocol.rooms.hub import Peer, Room
from car_protocol.storage.unwritten_history import ROW_COST, Batch, UnwrittenHistory
from ovms.db.engine import UNAVAILABLE
from ovms.db.logins import StoredMessage
from ovms.db.writer import HistoryValues, NotificationRow, SampleRow, StateValues, TokenRow
from ovms.metrics import ROWS, Histogram

BATCH_ROWS: Final = 2000
BATCHES_AT_ONCE: Final = 2
"""Of states and of history: while PostgreSQL writes one, the rows of the next are made and sent."""
RETRY_AFTER: Final = 0.5
MOST_SAMPLES: Final = 50_000
"""Samples that wait; further ones are lost, since no car is held up for its track."""

_DATA: Final = 2
_RECEIVED_AT: Final = 3
"""The places of the data and of its Unix time among the values of a state's row."""

_REFUSED: Final = (
    asyncpg.DataError,
    # Not CheckViolationError: that is how PostgreSQL says that a partition was made while a row was on its way to another.
    asyncpg.ForeignKeyViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.UniqueViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
    OverflowError,
)
"""What a statement raises for rows that PostgreSQL, or asyncpg on the way, does not take and never will."""

PUT_OFF: Final = (*UNAVAILABLE, asyncpg.PostgresError)
"""All else that it raises: PostgreSQL is away, a standby that is taking over, a deadlock. The rows wait."""

Row = TypeVar("Row", StateValues, HistoryValues, NotificationRow, SampleRow, TokenRow)
_CODES: Final = tuple(map(chr, range(256)))


class Store(Protocol):
    """Where the rows go."""

    async def write_states(self, rows: Sequence[StateValues]) -> None:
        """Write newest messages, all or none."""

    async def write_history(self, rows: Sequence[HistoryValues]) -> None:
        """Write history records, all or none."""

    async def write_notifications(self, rows: Sequence[NotificationRow]) -> None:
        """Write notifications and what is to be pushed of them, all or none."""

    async def write_samples(self, rows: Sequence[SampleRow]) -> None:
        """Write samples, all or none."""

    async def write_tokens(self, rows: Sequence[TokenRow]) -> None:
        """Name keys of paranoid mode, all or none; what was sealed with others is valid no more."""


class Recorder:
    """Collects rows and writes them.

    Args:
        store: where they go.
        monotonic: the clock of the messages' times.
        wall_offset: what makes Unix time of it. Fixed, so that a step of the wall clock never makes a newer message look older.
        tick: seconds to collect before writing.
        limit: bytes that may wait before `is_full`.
        resumed: called when there is room again.
    """

    def __init__(
        self,
        store: Store,
        *,
        monotonic: Callable[[], float],
        wall_offset: float,
        tick: float,
        limit: int,
        resumed: Callable[[], None],
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._wall_offset = wall_offset
        self._tick = tick
        self._limit = limit
        self._resumed = resumed
        self._states: dict[int, StateValues] = {}
        self._writing: dict[int, StateValues] = {}
        self._history = UnwrittenHistory()
        self._notifications: list[NotificationRow] = []
        self._samples: list[SampleRow] = []
        self._tokens: dict[int, TokenRow] = {}
        self._writing_tokens: dict[int, TokenRow] = {}
        self._bytes = 0
        self._work = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._log = structlog.get_logger("recorder")
        self.rows_written = 0
        self.samples_written = 0
        self.samples_lost = 0
        self.batch_rows = Histogram(ROWS)
        self.batch_seconds = Histogram()
        self.age = Histogram()
        """From the coming of a state to its commit, of one of each statement."""
        self.rows_refused = 0
        self.failures = 0
        self.is_full = False

    @property
    def unwritten_bytes(self) -> int:
        """What waits, samples and keys apart."""
        return self._bytes

    @property
    def acknowledgements(self) -> int:
        """That wait for a commit."""
        return self._history.acknowledgements

    # ---- called for every message

    def put_state(self, room: Room, message: bytes, now: float, sealed_with: str | None = None) -> None:
        """Keep a message as the newest of its vehicle and code."""
        vehicle, code, states, data = room.vehicle, message[0], self._states, message[1:]
        key = vehicle << 8 | code
        former = states.get(key)
        states[key] = (vehicle, _CODES[code], data, now + self._wall_offset, room.epoch, sealed_with)
        self._grow(len(data) + ROW_COST if former is None else len(data) - len(former[_DATA]))

    def put_token(self, room: Room, token: str) -> None:
        """Name the key of paranoid mode from now on."""
        self._tokens[room.vehicle] = TokenRow(room.vehicle, token, room.epoch)
        self._work.set()

    def put_history(self, row: HistoryValues, acknowledge: tuple[Peer, bytes] | None) -> None:
        """Keep a history record; `acknowledge` is a peer and the message that it gets once the record is committed."""
        self._grow(self._history.put(row, acknowledge))

    def put_notification(self, row: NotificationRow) -> None:
        """Keep a notification."""
        self._notifications.append(row)
        self._grow(len(row.message) + ROW_COST)

    def put_sample(self, row: SampleRow) -> None:
        """Keep a state beside the newest one, if there is room."""
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(row)
            self._work.set()
        else:
            self.samples_lost += 1

    def send_in_order(self, peer: Peer, message: bytes, now: float) -> None:
        """Send a message after the acknowledgements of all that waits now."""
        if not self._history.tell_after_all(peer, message):
            peer.send(message, now)

    def _grow(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limit:
            self.is_full = True
        self._work.set()

    # ---- asked by a login

    def pending(self, vehicle: int) -> dict[int, StoredMessage]:
        """What waits of a vehicle, by code."""
        first = vehicle << 8
        found = {}
        for source in (self._writing, self._states):
            for code in range(256):
                if kept := source.get(first | code):
                    _, _, data, received_at, epoch, sealed_with = kept
                    found[code] = StoredMessage(bytes((code,)) + data, received_at, sealed_with, epoch)
        return found

    def pending_token(self, vehicle: int) -> str | None:
        """The name of the key of paranoid mode that waits of a vehicle."""
        waiting = self._tokens.get(vehicle) or self._writing_tokens.get(vehicle)
        return None if waiting is None else waiting.token

    def wall(self, now: float) -> float:
        """The Unix time of a time of the messages' clock."""
        return now + self._wall_offset

    # ---- the writer

    async def run(self) -> None:
        """Write until cancelled."""
        began = -self._tick
        while True:
            await self._work.wait()
            # From one beginning to the next is a tick, so that a slow statement is not followed by a pause as well; but a
            # burst is always given a moment to come.
            await asyncio.sleep(max(self._tick - (self._monotonic() - began), self._tick / 4))
            began = self._monotonic()
            try:
                await self.flush()
            except PUT_OFF as error:
                self.failures += 1
                self._log.warning("PostgreSQL does not take what cars sent; it waits", reason=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)

    async def flush(self) -> None:
        """Write all that waits now.

        Raises:
            One of `PUT_OFF`: PostgreSQL is away; nothing is lost, call again.
        """
        async with self._flushing:
            self._work.clear()
            try:
                await self._flush_history()
                await self._flush_notifications()
                await self._flush_states_and_tokens()
                await self._flush_samples()
            except PUT_OFF:
                self._work.set()
                raise
        if self.is_full and self._bytes <= self._limit:
            self.is_full = False
            self._resumed()

    async def _flush_states_and_tokens(self) -> None:
        # Taken together: what was sealed before a key was named must be written before that is, or it would stay valid.
        self._writing, self._states = self._states, {}
        self._writing_tokens, self._tokens = self._tokens, {}
        try:
            await self._flush_states()
            await self._flush_tokens()
        finally:
            for key, kept in self._writing.items():
                if self._states.setdefault(key, kept) is not kept:
                    self._bytes -= len(kept[_DATA]) + ROW_COST
            self._tokens = self._writing_tokens | self._tokens
            self._writing, self._writing_tokens = {}, {}

    async def _flush_states(self) -> None:
        # Sorted, so that two replicas never lock the same rows in different orders.
        keys = sorted(self._writing)
        batches = [keys[start : start + BATCH_ROWS] for start in range(0, len(keys), BATCH_ROWS)]
        if len(batches) > 1:
            await self._write_at_once(iter(batches))
        else:
            await self._write_states(iter(batches))

    async def _write_at_once(self, batches: Iterator[Sequence[int]]) -> None:
        ends = await asyncio.gather(*(self._write_states(batches) for _ in range(BATCHES_AT_ONCE)), return_exceptions=True)
        for failure in filter(None, ends):
            raise failure

    async def _write_states(self, batches: Iterator[Sequence[int]]) -> None:
        for batch in batches:
            rows = [self._writing[key] for key in batch]
            await self._write("states", self._store.write_states, rows)
            self._bytes -= sum([len(row[_DATA]) for row in rows]) + len(rows) * ROW_COST
            self.age.observe(self.wall(self._monotonic()) - rows[0][_RECEIVED_AT])
            for key in batch:
                del self._writing[key]

    async def _flush_tokens(self) -> None:
        vehicles = sorted(self._writing_tokens)
        for start in range(0, len(vehicles), BATCH_ROWS):
            batch = vehicles[start : start + BATCH_ROWS]
            await self._write("tokens", self._store.write_tokens, [self._writing_tokens[vehicle] for vehicle in batch])
            for vehicle in batch:
                del self._writing_tokens[vehicle]

    async def _flush_history(self) -> None:
        batches = self._history.take(BATCH_ROWS)
        try:
            if len(batches) > 1:
                await self._write_in_turn(batches)
            else:
                for batch in batches:
                    self._end_batch(batch, await self._write_records(batch))
        finally:
            self._bytes -= self._history.give_back()

    async def _write_in_turn(self, batches: Sequence[Batch]) -> None:
        """Write some at once, and acknowledge them in their order, as the reference, which takes records one by one."""
        on_their_way: deque[tuple[Batch, asyncio.Task[list[HistoryValues]]]] = deque()
        try:
            for batch in batches:
                on_their_way.append((batch, asyncio.create_task(self._write_records(batch))))
                if len(on_their_way) == BATCHES_AT_ONCE:
                    first, task = on_their_way[0]
                    self._end_batch(first, await task)
                    del on_their_way[0]
            for last, task in on_their_way:
                self._end_batch(last, await task)
        finally:
            # What is committed beside a failure is written again: that makes no row more.
            await asyncio.gather(*(task for _, task in on_their_way), return_exceptions=True)

    async def _write_records(self, batch: Batch) -> list[HistoryValues]:
        return await self._write("history", self._store.write_history, [records[-1].row for records in batch])

    def _end_batch(self, batch: Batch, refused: Sequence[HistoryValues]) -> None:
        self._bytes -= self._history.end(batch, refused, self._monotonic())

    async def _flush_notifications(self) -> None:
        writing, self._notifications = self._notifications, []
        try:
            while writing:
                batch = writing[:BATCH_ROWS]
                await self._write("notifications", self._store.write_notifications, batch)
                self._bytes -= sum(len(row.message) + ROW_COST for row in batch)
                del writing[:BATCH_ROWS]
        finally:
            self._notifications = writing + self._notifications

    async def _flush_samples(self) -> None:
        writing, self._samples = self._samples, []
        try:
            while writing:
                batch = writing[:BATCH_ROWS]
                refused = await self._write("samples", self._store.write_samples, batch)
                self.samples_written += len(batch) - len(refused)
                del writing[:BATCH_ROWS]
        finally:
            self._samples = writing + self._samples

    async def _write(self, kind: str, write: Callable[[Sequence[Row]], Awaitable[None]], rows: Sequence[Row]) -> list[Row]:
        """Write rows; one that PostgreSQL refuses is found by halving, logged and returned, and never holds up the others."""
        began = self._monotonic()
        try:
            await write(rows)
        except _REFUSED as error:
            return await self._write_halves(kind, write, rows, error)
        self.batch_seconds.observe(self._monotonic() - began)
        self.batch_rows.observe(len(rows))
        self.rows_written += len(rows)
        return []

    async def _write_halves(
        self, kind: str, write: Callable[[Sequence[Row]], Awaitable[None]], rows: Sequence[Row], error: Exception
    ) -> list[Row]:
        if len(rows) == 1:
            [row] = rows
            self.rows_refused += 1
            self._log.error("a row was refused", vehicle=row[0], kind=kind, reason=type(error).__name__)
            return [row]
        middle = len(rows) // 2
        refused = await self._write(kind, write, rows[:middle])
        refused += await self._write(kind, write, rows[middle:])
        return refused
