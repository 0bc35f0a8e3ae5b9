"""A store in memory that can be slow, fail and refuse rows."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from ovms.db.writer import (
    HistoryRow,
    HistoryValues,
    NotificationRow,
    SampleRow,
    StateHistoryValues,
    StateRow,
    StateValues,
    TokenRow,
)

Row = StateValues | HistoryRow | NotificationRow | SampleRow | TokenRow | StateHistoryValues
Rows = (
    Sequence[StateValues]
    | Sequence[HistoryRow]
    | Sequence[NotificationRow]
    | Sequence[SampleRow]
    | Sequence[TokenRow]
    | Sequence[StateHistoryValues]
)


class FakeStore:
    """Keeps rows as PostgreSQL would, and every statement's rows in `statements`."""

    def __init__(self) -> None:
        self.states: dict[tuple[int, str], StateRow] = {}
        self.history: list[HistoryRow] = []
        self.state_history: dict[tuple[int, str, int], bytes] = {}
        self.notifications: list[NotificationRow] = []
        self.samples: list[SampleRow] = []
        self.tokens: dict[int, str] = {}
        self.statements: list[Rows] = []
        self.failures: list[BaseException | None] = []
        """What the next statements raise before anything is written; None: that one succeeds."""
        self.refuses: Callable[[Row], bool] = lambda row: False
        self.open = asyncio.Event()
        self.open.set()
        self.under_way: list[Rows] = []
        """Statements that wait for `open`."""

    @property
    def writing(self) -> int:
        """How many do."""
        return len(self.under_way)

    async def write_states(self, rows: Sequence[StateValues]) -> None:
        await self._statement(rows)
        self.keep_states(rows)

    def keep_states(self, rows: Sequence[StateValues]) -> None:
        assert len({row[:2] for row in rows}) == len(rows), "PostgreSQL takes a key once a statement"
        for row in map(StateRow._make, rows):
            kept = self.states.get(row[:2])
            if kept is None or (kept.epoch, kept.number) <= (row.epoch, row.number):
                self.states[row[:2]] = row

    async def write_history(self, rows: Sequence[HistoryValues]) -> None:
        await self._statement(rows)
        before = list(self.history)
        self.history += [row for row in map(HistoryRow._make, rows) if not any(_is_repetition(row, kept) for kept in before)]

    async def write_notifications(self, rows: Sequence[NotificationRow]) -> None:
        await self._statement(rows)
        self.notifications += rows

    async def write_samples(self, rows: Sequence[SampleRow]) -> None:
        await self._statement(rows)
        self.samples += rows

    async def write_state_history(self, second: int, rows: Sequence[StateHistoryValues]) -> None:
        await self._statement(rows)
        assert len({row[:2] for row in rows}) == len(rows), "PostgreSQL takes a key once a statement"
        self.state_history |= {(vehicle, code, second): data for vehicle, code, data in rows}

    async def write_tokens(self, rows: Sequence[TokenRow]) -> None:
        await self._statement(rows)
        for row in rows:
            others = [
                (key, state)
                for key, state in self.states.items()
                if key[0] == row.vehicle and state.paranoid_token not in (None, row.token)
            ]
            if all(state.epoch <= row.epoch for _, state in others):
                self.tokens[row.vehicle] = row.token
                for key, _ in others:
                    del self.states[key]

    async def _statement(self, rows: Rows) -> None:
        assert rows, "an empty statement"
        self.under_way.append(rows)
        try:
            await self.open.wait()
        finally:
            self.under_way.remove(rows)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        if any(map(self.refuses, rows)):
            raise asyncpg.DataError("a row is bad")
        self.statements.append(rows)


def _is_repetition(row: HistoryRow, kept: HistoryRow) -> bool:
    same = row[:3] == kept[:3] and row.ack_code == kept.ack_code and row.data == kept.data
    return same and abs(row.recorded_at - kept.recorded_at) <= (0 if row.ack_code is None else 60)
