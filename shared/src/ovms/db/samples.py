"""What vehicles sent as state, one message in a while."""

from datetime import datetime
from typing import Final, NamedTuple

from ovms.db.engine import Pool
from ovms.db.history import RESOLUTION, Part

_WHERE: Final = "FROM samples WHERE vehicle = $1 AND code = $2 AND recorded_at >= $3 AND recorded_at < $4 ORDER BY recorded_at"

_OLDEST_FIRST: Final = f"SELECT recorded_at, data, units {_WHERE} LIMIT $5"
_NEWEST_FIRST: Final = f"SELECT recorded_at, data, units {_WHERE} DESC LIMIT $5"
_LAST: Final = f"SELECT recorded_at {_WHERE} LIMIT 2 OFFSET $5"


class Sample(NamedTuple):
    """A message, without its code, and when it came."""

    recorded_at: datetime
    data: bytes
    units: str | None = None
    """`K` or `M`: what the car measured in at that time; None: unknown."""


async def read_samples(
    db: Pool, vehicle: int, code: str, part: Part, after: datetime | None, limit: int
) -> tuple[list[Sample], bool]:
    """At most `limit` samples that follow one of this time, and whether more follow."""
    start, end = part.start, part.end
    if after is not None and part.newest_first:
        end = min(end, after)
    elif after is not None:
        start = max(start, after + RESOLUTION)
    rows = await db.fetch(_NEWEST_FIRST if part.newest_first else _OLDEST_FIRST, vehicle, code, start, end, limit + 1)
    return [Sample(*row) for row in rows[:limit]], len(rows) > limit


async def find_last(db: Pool, vehicle: int, code: str, part: Part, limit: int) -> datetime | None:
    """When the last of the first `limit` samples came; None where no more follow."""
    rows = await db.fetch(_LAST, vehicle, code, part.start, part.end, limit - 1)
    return rows[0][0] if len(rows) > 1 else None
