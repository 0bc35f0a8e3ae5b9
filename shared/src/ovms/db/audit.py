"""The trail of who did what, which the owner whom it concerns can read. Nothing in it is secret, or said by a car."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from ovms.db.engine import Pool

_RECORD: Final = """
INSERT INTO audit (owner_id, actor, means, action, vehicle_id, detail)
SELECT id, $2, $3, $4, $5, $6::jsonb FROM owners WHERE id = $1
"""

_RECORD_COMMANDS: Final = """
INSERT INTO audit (owner_id, at, actor, means, action, vehicle_id, detail)
SELECT v.owner_id, to_timestamp(given.at), 'app', 'protocol v2', 'command', v.vehicle_id,
  jsonb_build_object('number', given.number)
FROM unnest($1::bigint[], $2::integer[], $3::double precision[]) WITH ORDINALITY AS given(vehicle, number, at, place)
JOIN vehicles v ON v.id = given.vehicle ORDER BY place
"""

_PAGE: Final = """
SELECT id, at, actor, means, action, vehicle_id, detail FROM audit
WHERE owner_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
"""

_END: Final = """
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < now() - $1 * interval '1 day' LIMIT $2)
"""

NEWEST: Final = 2**63 - 1


class Executes(Protocol):
    """A pool, or a connection in whose transaction an entry is written."""

    async def execute(self, query: str, *args: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that somebody did."""

    id: int
    """Greater than those of all earlier ones."""
    at: datetime
    actor: str
    means: str
    action: str
    vehicle_id: str | None
    detail: Mapping[str, Any]


async def record(
    db: Executes,
    owner_id: int,
    *,
    actor: str,
    means: str,
    action: str,
    vehicle_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry to an owner's trail.

    Args:
        owner_id: whom it concerns: the vehicle's owner, whoever has done it.
        actor: the name of who did it.
        means: what he signed in with.
        detail: what else is worth knowing; never a secret.
    """
    await db.execute(_RECORD, owner_id, actor, means, action, vehicle_id, json.dumps(detail or {}))


async def record_commands(db: Executes, given: Sequence[tuple[int, int | None, float]]) -> None:
    """Add the commands that apps gave over protocol v2: vehicle, number (None: it is sealed) and Unix time of each."""
    vehicles, numbers, times = zip(*given, strict=True)
    await db.execute(_RECORD_COMMANDS, vehicles, numbers, times)


async def read_trail(db: Pool, owner_id: int, before: int, most: int) -> list[Entry]:
    """An owner's entries with an id below `before`, the newest first."""
    rows = await db.fetch(_PAGE, owner_id, before, most)
    return [Entry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


async def end_trail(db: Executes, days: int, *, limit: int) -> int:
    """Forget at most `limit` entries that are older than so many days; return how many."""
    status = await db.execute(_END, days, limit)
    return int(status.removeprefix("DELETE "))
