"""The trail of who did what, which the owner whom it concerns can read. Nothing in it is secret, or said by a car."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB

from ovms.db.engine import Database, Pool
from ovms.db.statement import DAY, Query, Statement, param
from ovms.db.tables import audit, owners

_RECORD_COMMANDS: Final = """
INSERT INTO audit (owner_id, at, actor, means, action, vehicle_id, detail)
SELECT v.owner_id, to_timestamp(given.at), 'app', 'protocol v2', 'command', v.vehicle_id,
  jsonb_build_object('number', given.number)
FROM unnest($1::bigint[], $2::integer[], $3::double precision[]) WITH ORDINALITY AS given(vehicle, number, at, place)
JOIN vehicles v ON v.id = given.vehicle ORDER BY place
"""

NEWEST: Final = 2**63 - 1


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


_RECORD: Final = Statement(
    insert(audit).from_select(
        ["owner_id", "actor", "means", "action", "vehicle_id", "detail"],
        select(
            owners.c.id, *(param(name) for name in ("actor", "means", "action", "vehicle_id")), param("detail", JSONB)
        ).where(owners.c.id == param("owner_id")),
    )
)

_PAGE: Final = Query(
    Entry,
    select(*(audit.c[name] for name in Entry.__dataclass_fields__))
    .where(audit.c.owner_id == param("owner_id"), audit.c.id < param("before"))
    .order_by(audit.c.id.desc())
    .limit(param("most")),
)

_END: Final = Statement(
    delete(audit).where(
        audit.c.id.in_(select(audit.c.id).where(audit.c.at < func.now() - param("days") * DAY).limit(param("limit")))
    )
)


async def record(
    db: Database,
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
    await _RECORD.execute(
        db, owner_id=owner_id, actor=actor, means=means, action=action, vehicle_id=vehicle_id, detail=detail or {}
    )


async def record_commands(db: Database, given: Sequence[tuple[int, int | None, float]]) -> None:
    """Add the commands that apps gave over protocol v2: vehicle, number (None: it is sealed) and Unix time of each."""
    vehicles, numbers, times = zip(*given, strict=True)
    await db.execute(_RECORD_COMMANDS, vehicles, numbers, times)


async def read_trail(db: Pool, owner_id: int, before: int, most: int) -> list[Entry]:
    """An owner's entries with an id below `before`, the newest first."""
    return await _PAGE.find_all(db, owner_id=owner_id, before=before, most=most)


async def end_trail(db: Database, days: int, *, limit: int) -> int:
    """Forget at most `limit` entries that are older than so many days; return how many."""
    return await _END.execute(db, days=days, limit=limit)
