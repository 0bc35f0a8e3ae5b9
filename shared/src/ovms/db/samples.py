"""What vehicles sent as state, one message in a while."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select

from ovms.db.engine import Pool
from ovms.db.history import RESOLUTION, Part
from ovms.db.statement import Query, Statement, param
from ovms.db.tables import samples


class Sample(NamedTuple):
    """A message, without its code, and when it came."""

    recorded_at: datetime
    data: bytes
    units: str | None = None
    """`K` or `M`: what the car measured in at that time; None: unknown."""


_IN_PART: Final = (
    samples.c.vehicle == param("vehicle"),
    samples.c.code == param("code"),
    samples.c.recorded_at >= param("start"),
    samples.c.recorded_at < param("end"),
)
_SAMPLES: Final = select(samples.c.recorded_at, samples.c.data, samples.c.units).where(*_IN_PART).limit(param("limit"))
_OLDEST_FIRST: Final = Query(Sample, _SAMPLES.order_by(samples.c.recorded_at))
_NEWEST_FIRST: Final = Query(Sample, _SAMPLES.order_by(samples.c.recorded_at.desc()))

_LAST: Final = Statement(
    select(samples.c.recorded_at).where(*_IN_PART).order_by(samples.c.recorded_at).limit(2).offset(param("before"))
)


async def read_samples(
    db: Pool, vehicle: int, code: str, part: Part, after: datetime | None, limit: int
) -> tuple[list[Sample], bool]:
    """At most `limit` samples that follow one of this time, and whether more follow."""
    start, end = part.start, part.end
    if after is not None and part.newest_first:
        end = min(end, after)
    elif after is not None:
        start = max(start, after + RESOLUTION)
    query = _NEWEST_FIRST if part.newest_first else _OLDEST_FIRST
    found = await query.find_all(db, vehicle=vehicle, code=code, start=start, end=end, limit=limit + 1)
    return found[:limit], len(found) > limit


async def find_last(db: Pool, vehicle: int, code: str, part: Part, limit: int) -> datetime | None:
    """When the last of the first `limit` samples came; None where no more follow."""
    rows = await _LAST.fetch(db, vehicle=vehicle, code=code, start=part.start, end=part.end, before=limit - 1)
    return rows[0][0] if len(rows) > 1 else None
