"""Sealed secrets under another key: opened and sealed anew, a batch a statement, while services read and change them."""

# Statements are put together of constants of this file alone.
# ruff: noqa: S608

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ovms.db.commands import KEY_DAYS, message_context
from ovms.db.engine import Database
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import fold_vehicle_id

STEP: Final = 500
"""Secrets that one statement seals anew at most."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of sealed secrets."""

    what: str
    table: str
    column: str
    key_column: str
    place: str
    """The column by which rows are gone through."""
    place_type: str
    before: object
    """Less than every place."""
    subject: str
    """The column from which the context is made."""
    context: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the next secrets of a column that are sealed under other keys than the current one."""

    resealed: int
    unopened: Mapping[str, int]
    """Those that do not open, by the id of their key: it is not known, or another key has this id."""
    last: object
    """The place of the last one; None: there are no more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Marks of requests under one key: they cannot be made anew, and are of use for a day."""

    key_id: str
    count: int
    until: datetime


@dataclass(slots=True)
class Outcome:
    """What became of a column."""

    what: str
    resealed: int = 0
    unopened: Counter[str] = field(default_factory=Counter)


COLUMNS: Final = (
    Sealed(
        "passwords of vehicles", "vehicles", "password", "password_key_id", "id", "bigint", 0, "vehicle_id", fold_vehicle_id
    ),
    Sealed("secrets of configurations", "autoprovision", "secret", "secret_key_id", "key", "text", "", "key", str),
    Sealed("parameters of configurations", "autoprovision", "record", "record_key_id", "key", "text", "", "key", str),
    Sealed("messages of commands", "commands", "message", "message_key_id", "place", "bigint", 0, "id", message_context),
)

_MARKS: Final = f"""
SELECT request_key_id, count(*), max(created_at) + interval '{KEY_DAYS} day' FROM commands
WHERE idempotency_key IS NOT NULL AND created_at >= now() - interval '{KEY_DAYS} day' AND request_key_id <> $1
GROUP BY request_key_id ORDER BY request_key_id
"""


async def reseal(db: Database, column: Sealed, sealer: Sealer) -> Outcome:
    """Seal a column's secrets under the current key; what does not open stays as it is."""
    outcome, after = Outcome(column.what), column.before
    while after is not None:
        batch = await reseal_batch(db, column, sealer, after)
        outcome.resealed += batch.resealed
        outcome.unopened.update(batch.unopened)
        after = batch.last
    return outcome


async def reseal_batch(db: Database, column: Sealed, sealer: Sealer, after: object) -> Batch:
    """The same for the next few behind a place."""
    rows = await db.fetch(_select(column), sealer.current, after)
    new, unopened = [], Counter[str]()
    for place, subject, former, key_id in rows:
        context = column.context(subject)
        try:
            _, sealed = sealer.seal(sealer.open(key_id, former, context=context), context=context)
        except SealingError:
            unopened[key_id] += 1
        else:
            new.append((place, former, sealed))
    resealed = await db.fetchval(_update(column), *([one[part] for one in new] for part in range(3)), sealer.current)
    return Batch(resealed, unopened, rows[-1][0] if len(rows) == STEP else None)


async def count_keys(db: Database, column: Sealed) -> dict[str, int]:
    """How many of a column's secrets are sealed under each key."""
    return {row[0]: row[1] for row in await db.fetch(_count(column))}


async def find_marks(db: Database, sealer: Sealer) -> list[Mark]:
    """The marks under other keys than the current one that are still of use."""
    return [Mark(*row) for row in await db.fetch(_MARKS, sealer.current)]


def superfluous(sealer: Sealer, needed: Collection[str]) -> list[str]:
    """The ids of the keys that may go."""
    return [key_id for key_id in sealer.key_ids if key_id != sealer.current and key_id not in needed]


def _select(column: Sealed) -> str:
    return f"""
SELECT {column.place}, {column.subject}, {column.column}, {column.key_column} FROM {column.table}
WHERE {column.key_column} <> $1 AND {column.place} > $2 ORDER BY {column.place} LIMIT {STEP}
"""


def _update(column: Sealed) -> str:
    # What a service has changed meanwhile is not what was opened, and stays.
    return f"""
WITH resealed AS (
  UPDATE {column.table} SET {column.column} = new.sealed, {column.key_column} = $4
  FROM unnest($1::{column.place_type}[], $2::bytea[], $3::bytea[]) AS new (place, former, sealed)
  WHERE {column.table}.{column.place} = new.place AND {column.table}.{column.column} = new.former RETURNING 1)
SELECT count(*) FROM resealed
"""


def _count(column: Sealed) -> str:
    return f"""
SELECT {column.key_column}, count(*) FROM {column.table} WHERE {column.key_column} IS NOT NULL
GROUP BY {column.key_column} ORDER BY {column.key_column}
"""
