"""Sealed secrets under another key: opened and sealed anew, a batch a statement, while services read and change them."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import ARRAY, Column, LargeBinary, cast, func, select, update

from ovms.db.commands import KEY_DAYS, message_context
from ovms.db.engine import Database
from ovms.db.sealing import Sealer, SealingError
from ovms.db.statement import DAY, Query, Statement, param
from ovms.db.tables import autoprovision, commands, vehicles
from ovms.identity import fold_vehicle_id

STEP: Final = 500
"""Secrets that one statement seals anew at most."""


@dataclass(frozen=True)
class Sealed:
    """A column of sealed secrets."""

    what: str
    column: Column[Any]
    key_column: Column[Any]
    place: Column[Any]
    """The column by which rows are gone through."""
    before: object
    """Less than every place."""
    subject: Column[Any]
    """The column from which the context is made."""
    context: Callable[[Any], str]

    @cached_property
    def next(self) -> Statement:
        """Secrets behind a place that are sealed under other keys than the current one."""
        return Statement(
            select(self.place, self.subject.label("subject"), self.column, self.key_column)
            .where(self.key_column != param("current"), self.place > param("after"))
            .order_by(self.place)
            .limit(STEP)
        )

    @cached_property
    def put(self) -> Statement:
        """Replace secrets: what a service has changed meanwhile is not what was opened, and stays."""
        arrays = {"places": self.place.type, "formers": LargeBinary(), "seals": LargeBinary()}
        new = (
            func.unnest(*(cast(param(name), ARRAY(kind)) for name, kind in arrays.items()))
            .table_valued("place", "former", "sealed")
            .render_derived("new")
        )
        return Statement(
            update(self.column.table)
            .values({self.column: new.c.sealed, self.key_column: param("current")})
            .where(self.place == new.c.place, self.column == new.c.former)
        )

    @cached_property
    def count(self) -> Statement:
        """How many secrets are sealed under each key."""
        return Statement(
            select(self.key_column, func.count())
            .where(self.key_column.is_not(None))
            .group_by(self.key_column)
            .order_by(self.key_column)
        )


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
        "passwords of vehicles",
        vehicles.c.password,
        vehicles.c.password_key_id,
        vehicles.c.id,
        0,
        vehicles.c.vehicle_id,
        fold_vehicle_id,
    ),
    Sealed(
        "secrets of configurations",
        autoprovision.c.secret,
        autoprovision.c.secret_key_id,
        autoprovision.c.key,
        "",
        autoprovision.c.key,
        str,
    ),
    Sealed(
        "parameters of configurations",
        autoprovision.c.record,
        autoprovision.c.record_key_id,
        autoprovision.c.key,
        "",
        autoprovision.c.key,
        str,
    ),
    Sealed(
        "messages of commands",
        commands.c.message,
        commands.c.message_key_id,
        commands.c.place,
        0,
        commands.c.id,
        message_context,
    ),
)

_MARKS: Final = Query(
    Mark,
    select(
        commands.c.request_key_id.label("key_id"),
        func.count().label("count"),
        (func.max(commands.c.created_at) + KEY_DAYS * DAY).label("until"),
    )
    .where(
        commands.c.idempotency_key.is_not(None),
        commands.c.created_at >= func.now() - KEY_DAYS * DAY,
        commands.c.request_key_id != param("current"),
    )
    .group_by(commands.c.request_key_id)
    .order_by(commands.c.request_key_id),
)


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
    rows = await column.next.fetch(db, current=sealer.current, after=after)
    new, unopened = [], Counter[str]()
    for place, subject, former, key_id in rows:
        context = column.context(subject)
        try:
            _, sealed = sealer.seal(sealer.open(key_id, former, context=context), context=context)
        except SealingError:
            unopened[key_id] += 1
        else:
            new.append((place, former, sealed))
    places, formers, seals = ([one[part] for one in new] for part in range(3))
    resealed = await column.put.execute(db, places=places, formers=formers, seals=seals, current=sealer.current)
    return Batch(resealed, unopened, rows[-1][0] if len(rows) == STEP else None)


async def count_keys(db: Database, column: Sealed) -> dict[str, int]:
    """How many of a column's secrets are sealed under each key."""
    return {row[0]: row[1] for row in await column.count.fetch(db)}


async def find_marks(db: Database, sealer: Sealer) -> list[Mark]:
    """The marks under other keys than the current one that are still of use."""
    return await _MARKS.find_all(db, current=sealer.current)


def superfluous(sealer: Sealer, needed: Collection[str]) -> list[str]:
    """The ids of the keys that may go."""
    return [key_id for key_id in sealer.key_ids if key_id != sealer.current and key_id not in needed]
