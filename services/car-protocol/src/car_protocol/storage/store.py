"""The recorder's rows, into PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence

from ovms.db.engine import Pool
from ovms.db.writer import (
    HistoryValues,
    NotificationRow,
    SampleRow,
    StateHistoryValues,
    StateValues,
    TokenRow,
    refusing_sessions,
    write_history,
    write_notifications,
    write_samples,
    write_state_history,
    write_states,
    write_tokens,
)


class PostgresStore:
    """Writes rows with the statements of `ovms.db.writer`.

    Args:
        repeat_after: seconds in which one subscription gets equal notifications once.
        pushes_wait: called when notifications were written that somebody wants pushed.
        followed: called with the sessions whose states keep others from being written, by vehicle.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        repeat_after: float,
        pushes_wait: Callable[[], None],
        followed: Callable[[Mapping[int, int]], None],
    ) -> None:
        self._pool = pool
        self._repeat_after = repeat_after
        self._pushes_wait = pushes_wait
        self._followed = followed

    async def write_states(self, rows: Sequence[StateValues]) -> None:
        """Write newest messages, all or none."""
        if not await write_states(self._pool, rows):
            self._followed(await refusing_sessions(self._pool, rows))

    async def write_tokens(self, rows: Sequence[TokenRow]) -> None:
        """Name keys of paranoid mode, all or none."""
        await write_tokens(self._pool, rows)

    async def write_history(self, rows: Sequence[HistoryValues]) -> None:
        """Write history records, all or none."""
        await write_history(self._pool, rows)

    async def write_samples(self, rows: Sequence[SampleRow]) -> None:
        """Write samples, all or none."""
        await write_samples(self._pool, rows)

    async def write_state_history(self, second: int, rows: Sequence[StateHistoryValues]) -> None:
        """Write the last messages of a second, all or none."""
        await write_state_history(self._pool, second, rows)

    async def write_notifications(self, rows: Sequence[NotificationRow]) -> None:
        """Write notifications and what is to be pushed of them, all or none."""
        if await write_notifications(self._pool, rows, repeat_after=self._repeat_after):
            self._pushes_wait()
