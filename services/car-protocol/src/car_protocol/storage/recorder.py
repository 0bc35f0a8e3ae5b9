"""Writes what cars send to PostgreSQL, in batches, without any car waiting for it.

Of each (vehicle, code) only the newest message is kept, so a burst costs one row; notifications and history records are kept
all, a record with those who wait for its acknowledgement, and so are samples of states; of the state history the last message
of each second is. Each kind goes its own way, on a tick; what comes meanwhile makes the next batch. While PostgreSQL is
unavailable everything waits here: of states one message a vehicle and code, samples and state history up to bounds of their
own. Past `limit` bytes of all but these `is_full` asks the connections to read no more, so that the rest waits in the cars' own
send buffers.

A state is of the session that it came in, however late it is written: a car may have moved to another replica meanwhile, and
come back. A key of paranoid mode is named after all that came before it was written: that ends what was sealed with another.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

import asyncpg
import structlog

from car_protocol.rooms.hub import Peer, Room
from car_protocol.storage.lane import Lane, Write
from car_protocol.storage.unwritten_history import ROW_COST, Batch, UnwrittenHistory
from car_protocol.storage.unwritten_states import Second, UnwrittenStateHistory
from car_protocol.wall_clock import WallClock
from ovms.db.logins import StoredMessage
from ovms.db.writer import HistoryValues, NotificationRow, SampleRow, StateHistoryValues, StateValues, TokenRow
from ovms.metrics import ROWS, Histogram

BATCH_ROWS: Final = 2000
BATCHES_AT_ONCE: Final = 2
"""Of history: while PostgreSQL writes one, the rows of the next are made and sent."""
STATES_AT_ONCE: Final = 2
"""Batches of states: the same, but each is taken when it can be, and of a vehicle and code no two have a message."""
MOST_SAMPLES: Final = 50_000
"""Samples that wait; further ones are lost, since no car is held up for its track."""
STATE_HISTORY_TICK: Final = 0.1
"""Seconds from one look for seconds that are over to the next."""

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

Row = TypeVar("Row", StateValues, HistoryValues, NotificationRow, SampleRow, TokenRow, StateHistoryValues)
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

    async def write_state_history(self, second: int, rows: Sequence[StateHistoryValues]) -> None:
        """Write the last messages of a second, all or none."""

    async def write_tokens(self, rows: Sequence[TokenRow]) -> None:
        """Name keys of paranoid mode, all or none; what was sealed with others is valid no more."""


class Recorder:
    """Collects rows and writes them.

    Args:
        store: where they go.
        monotonic: the clock of the messages' times.
        clock: what makes Unix time of it.
        tick: seconds to collect before writing.
        limit: bytes that may wait before `is_full`.
        keeps_state_history: whether states are kept beside the newest one.
        resumed: called when there is room again.
    """

    def __init__(
        self,
        store: Store,
        *,
        monotonic: Callable[[], float],
        clock: WallClock,
        tick: float,
        limit: int,
        keeps_state_history: bool,
        resumed: Callable[[], None],
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._clock = clock
        self._limit = limit
        self._resumed = resumed
        self._states: dict[int, StateValues] = {}
        self._writing: dict[int, StateValues] = {}
        self._history = UnwrittenHistory()
        self._notifications: list[NotificationRow] = []
        self._samples: list[SampleRow] = []
        self._state_history = UnwrittenStateHistory(clock.at) if keeps_state_history else None
        self._tokens: dict[int, TokenRow] = {}
        self._writing_tokens: dict[int, TokenRow] = {}
        self._bytes = 0
        lane = partial(Lane, tick=tick, monotonic=monotonic)
        self._history_lane = lane(self._take_history, at_once=1)
        self._notification_lane = lane(self._take_notifications, at_once=1)
        self._state_lane = lane(self._take_states_and_tokens, at_once=STATES_AT_ONCE)
        self._sample_lane = lane(self._take_samples, at_once=1)
        self._state_history_lane = lane(self._take_state_history, at_once=1, tick=STATE_HISTORY_TICK)
        self._lanes = (
            self._history_lane,
            self._notification_lane,
            self._state_lane,
            self._sample_lane,
            self._state_history_lane,
        )
        self._log = structlog.get_logger("recorder")
        self.rows_written = 0
        self.samples_written = 0
        self.samples_lost = 0
        self.state_history_written = 0
        self.batch_rows = Histogram(ROWS)
        self.batch_seconds = Histogram()
        self.age = Histogram()
        """From the coming of a state to its commit, of one of each statement."""
        self.rows_refused = 0
        self.is_full = False

    @property
    def unwritten_bytes(self) -> int:
        """What waits, samples and keys apart."""
        return self._bytes

    @property
    def state_history_lost(self) -> int:
        """Rows of the state history that were dropped, since too many waited."""
        return 0 if self._state_history is None else self._state_history.lost

    @property
    def failures(self) -> int:
        """How often PostgreSQL did not take what it was given."""
        return sum(lane.failures for lane in self._lanes)

    @property
    def acknowledgements(self) -> int:
        """That wait for a commit."""
        return self._history.acknowledgements

    # ---- called for every message

    def put_state(self, room: Room, message: bytes, now: float, sealed_with: str | None = None) -> None:
        """Keep the message that was published last as the newest of its vehicle and code."""
        vehicle, code, states, data = room.vehicle, message[0], self._states, message[1:]
        key = vehicle << 8 | code
        former = states.get(key)
        received_at, number = now + self._clock.offset, room.message_number
        row = states[key] = (vehicle, _CODES[code], data, received_at, room.epoch, number, sealed_with)
        if (history := self._state_history) is not None:
            if now >= history.ends_at:
                history.begin(now)
                self._state_history_lane.wake()
            history.current[key] = row
        self._grow(len(data) + ROW_COST if former is None else len(data) - len(former[_DATA]))
        self._state_lane.wake()

    def put_token(self, room: Room, token: str) -> None:
        """Name the key of paranoid mode from now on."""
        self._tokens[room.vehicle] = TokenRow(room.vehicle, token, room.epoch)
        self._state_lane.wake()

    def put_history(self, row: HistoryValues, acknowledge: tuple[Peer, bytes] | None) -> None:
        """Keep a history record; `acknowledge` is a peer and the message that it gets once the record is committed."""
        self._grow(self._history.put(row, acknowledge))
        self._history_lane.wake()

    def put_notification(self, row: NotificationRow) -> None:
        """Keep a notification."""
        self._notifications.append(row)
        self._grow(len(row.message) + ROW_COST)
        self._notification_lane.wake()

    def put_sample(self, row: SampleRow) -> None:
        """Keep a state beside the newest one, if there is room."""
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(row)
            self._sample_lane.wake()
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

    def _shrink(self, size: int) -> None:
        self._bytes -= size
        if self.is_full and self._bytes <= self._limit:
            self.is_full = False
            self._resumed()

    # ---- asked by a login

    def pending(self, vehicle: int) -> dict[int, StoredMessage]:
        """What waits of a vehicle, by code."""
        first = vehicle << 8
        found = {}
        for source in (self._writing, self._states):
            for code in range(256):
                if kept := source.get(first | code):
                    _, _, data, received_at, epoch, number, sealed_with = kept
                    found[code] = StoredMessage(bytes((code,)) + data, received_at, sealed_with, epoch, number)
        return found

    def pending_token(self, vehicle: int) -> str | None:
        """The name of the key of paranoid mode that waits of a vehicle."""
        waiting = self._tokens.get(vehicle) or self._writing_tokens.get(vehicle)
        return None if waiting is None else waiting.token

    def wall(self, now: float) -> float:
        """The Unix time of a time of the messages' clock."""
        return now + self._clock.offset

    # ---- the writer

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for lane in self._lanes:
                lanes.create_task(lane.run())

    async def flush(self) -> None:
        """Write all that waits now.

        Raises:
            One of `PUT_OFF`: PostgreSQL is away; nothing is lost, call again.
        """
        if self._state_history is not None:
            self._state_history.end()
        for lane in self._lanes:
            await lane.flush()

    # ---- states

    def _take_states_and_tokens(self) -> Write:
        # In two statements at once the older of two messages could be written last. And what was sealed before a key was named
        # must be written before that is, or it would stay valid: so a key is taken with all that came before it, and by itself.
        is_held = self._tokens and (self._writing or self._writing_tokens)
        if is_held or not self._writing.keys().isdisjoint(self._states):
            return _nothing()
        states, self._states = self._states, {}
        tokens, self._tokens = self._tokens, {}
        self._writing |= states
        self._writing_tokens |= tokens
        return self._write_states_and_tokens(states, tokens)

    async def _write_states_and_tokens(self, states: dict[int, StateValues], tokens: dict[int, TokenRow]) -> None:
        try:
            await self._write_states(states)
            await self._write_tokens(tokens)
        finally:
            for key, kept in states.items():
                del self._writing[key]
                if self._states.setdefault(key, kept) is not kept:
                    self._shrink(len(kept[_DATA]) + ROW_COST)
            for vehicle, token in tokens.items():
                del self._writing_tokens[vehicle]
                self._tokens.setdefault(vehicle, token)
            if self._states or self._tokens:
                self._state_lane.wake()  # what was not taken beside it

    async def _write_states(self, states: dict[int, StateValues]) -> None:
        # Sorted, so that two replicas never lock the same rows in different orders.
        keys = sorted(states)
        for start in range(0, len(keys), BATCH_ROWS):
            batch = keys[start : start + BATCH_ROWS]
            rows = [states[key] for key in batch]
            await self._write("states", self._store.write_states, rows)
            self.age.observe(self.wall(self._monotonic()) - rows[0][_RECEIVED_AT])
            for key in batch:
                del states[key], self._writing[key]
            self._shrink(sum([len(row[_DATA]) for row in rows]) + len(rows) * ROW_COST)

    async def _write_tokens(self, tokens: dict[int, TokenRow]) -> None:
        vehicles = sorted(tokens)
        for start in range(0, len(vehicles), BATCH_ROWS):
            batch = vehicles[start : start + BATCH_ROWS]
            await self._write("tokens", self._store.write_tokens, [tokens[vehicle] for vehicle in batch])
            for vehicle in batch:
                del tokens[vehicle], self._writing_tokens[vehicle]

    # ---- history, notifications, samples

    def _take_history(self) -> Write:
        return self._write_history(self._history.take(BATCH_ROWS))

    async def _write_history(self, batches: Sequence[Batch]) -> None:
        try:
            if len(batches) > 1:
                await self._write_in_turn(batches)
            else:
                for batch in batches:
                    self._end_batch(batch, await self._write_records(batch))
        finally:
            self._shrink(self._history.give_back())

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
        return await self._write("history", self._store.write_history, [waiting.row for waiting in batch])

    def _end_batch(self, batch: Batch, refused: Sequence[HistoryValues]) -> None:
        self._shrink(self._history.end(batch, refused, self._monotonic()))

    def _take_notifications(self) -> Write:
        taken, self._notifications = self._notifications, []
        return self._write_notifications(taken)

    async def _write_notifications(self, taken: list[NotificationRow]) -> None:
        try:
            while taken:
                batch = taken[:BATCH_ROWS]
                await self._write("notifications", self._store.write_notifications, batch)
                del taken[:BATCH_ROWS]
                self._shrink(sum(len(row.message) + ROW_COST for row in batch))
        finally:
            self._notifications = taken + self._notifications

    def _take_samples(self) -> Write:
        taken, self._samples = self._samples, []
        return self._write_samples(taken)

    async def _write_samples(self, taken: list[SampleRow]) -> None:
        try:
            while taken:
                batch = taken[:BATCH_ROWS]
                refused = await self._write("samples", self._store.write_samples, batch)
                self.samples_written += len(batch) - len(refused)
                del taken[:BATCH_ROWS]
        finally:
            self._samples = taken + self._samples

    def _take_state_history(self) -> Write:
        if (history := self._state_history) is None:
            return _nothing()
        if self._monotonic() >= history.ends_at:
            history.end()
        if history.current:
            self._state_history_lane.wake()
        return self._write_state_history(history)

    async def _write_state_history(self, history: UnwrittenStateHistory) -> None:
        while (taken := history.take()) is not None:
            second, rows = taken
            try:
                await self._write_second(second, rows)
            except BaseException:
                history.give_back(second, rows)
                raise

    async def _write_second(self, second: int, rows: Second) -> None:
        # Sorted, so that two replicas never lock the same rows in different orders.
        values = [rows[key][:3] for key in sorted(rows)]
        write = partial(self._store.write_state_history, second)
        for start in range(0, len(values), BATCH_ROWS):
            batch = values[start : start + BATCH_ROWS]
            refused = await self._write("state history", write, batch)
            self.state_history_written += len(batch) - len(refused)

    # ---- every row

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


async def _nothing() -> None:
    """What is written where nothing can be taken yet."""
