"""The recorder's rows, into PostgreSQL."""

from collections.abc import Mapping, Sequence

from ovms.db.engine import Pool
from ovms.db.writer import HistoryRow, StateRow, write_history, write_states, write_tokens


class PostgresStore:
    """Writes rows with the statements of `ovms.db.writer`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write_states(self, rows: Sequence[StateRow]) -> None:
        """Write newest messages, all or none."""
        await write_states(self._pool, rows)

    async def write_tokens(self, tokens: Mapping[int, str]) -> None:
        """Name the keys of paranoid mode, by vehicle."""
        await write_tokens(self._pool, tokens)

    async def write_history(self, rows: Sequence[HistoryRow]) -> None:
        """Write history records, all or none."""
        await write_history(self._pool, rows)
