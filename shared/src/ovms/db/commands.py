"""What vehicles are told, and what became of it. Which state may follow which is not decided here: callers say from which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Table,
    all_,
    and_,
    any_,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Pool
from ovms.db.statement import DAY, SECOND, Query, Statement, param
from ovms.db.tables import audit, commands, messages, vehicles
from ovms.identity import VehicleName

MOST_OPEN: Final = 32
"""Commands of one vehicle that are not finished."""
KEY_DAYS: Final = 1
"""An idempotency key stands for one request so long."""
STEP: Final = 500
"""Rows that one statement ends or removes at most."""
NEWEST: Final = 2**63 - 1


PARANOID_BY: Final = ("S", "D", "F", "V")
"""Codes of messages that a module in paranoid mode seals: whichever of them came last shows whether it is."""


class Paranoid(Exception):
    """A vehicle is in paranoid mode: it reads no command of ours."""


class TooManyOpen(Exception):
    """A vehicle has as many unfinished commands as it may."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it may be shown: nothing of it is secret."""

    id: UUID
    place: int
    """Greater than those of all that were taken before."""
    vehicle: int
    """The vehicle's key."""
    vehicle_id: str
    """As its owner spells it."""
    kind: str
    arguments: Mapping[str, Any]
    """Those that are never secret."""
    actor: str
    state: str
    revision: int
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    result: int | None
    words: str | None

    @property
    def name(self) -> VehicleName:
        """Return its name on Redis."""
        return VehicleName(self.vehicle_id, self.vehicle)


@dataclass(frozen=True, slots=True)
class New:
    """A command that somebody asks for."""

    id: UUID
    vehicle: int
    actor_id: int
    actor: str
    means: str
    kind: str
    number: int
    arguments: Mapping[str, Any]
    message: bytes
    """Sealed."""
    message_key_id: str
    seconds: float
    """That it may wait before it is sent."""
    waits: bool = False
    """Whether it waits for an absent vehicle."""
    only_by: str | None = None
    """The process that alone may send it."""
    idempotency_key: str | None = None
    request_mark: bytes | None = None
    request_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Keyed:
    """The command that an idempotency key stands for."""

    request_mark: bytes
    request_key_id: str
    command: Command


@dataclass(frozen=True, slots=True)
class Taken:
    """A command that is being sent."""

    message: bytes = field(repr=False)
    """Sealed."""
    message_key_id: str
    waits: bool
    """Whether it waits for an absent vehicle."""
    command: Command


@dataclass(frozen=True, slots=True)
class Waiting:
    """A vehicle that is to be told something, and is told nothing at the moment."""

    vehicle: int
    vehicle_id: str
    is_hasty: bool
    """Whether something of it does not wait for an absent vehicle."""

    @property
    def name(self) -> VehicleName:
        """Return its name on Redis."""
        return VehicleName(self.vehicle_id, self.vehicle)


@dataclass(frozen=True, slots=True)
class End:
    """How a command ends."""

    origins: Sequence[str]
    """The states from which it may."""
    state: str
    result: int | None = None
    words: str | None = None
    actor: str | None = None
    """Who ended it; None: nobody but who asked for it."""
    means: str | None = None


def _shown(rows: Table | CTE) -> list[ColumnElement[Any]]:
    """Return the columns that may be shown."""
    return [vehicles.c.vehicle_id if name == "vehicle_id" else rows.c[name] for name in Command.__dataclass_fields__]


def _select(rows: Table | CTE) -> Select[Any]:
    """Select commands with the columns that may be shown."""
    return select(*_shown(rows)).join_from(rows, vehicles, vehicles.c.id == rows.c.vehicle)


_IS_OPEN: Final = commands.c.finished_at.is_(None)
_IS_ONE: Final = commands.c.id == param("id")
_IS_OF_VEHICLE: Final = commands.c.vehicle == param("vehicle")
_IS_SHOWN: Final = commands.c.kind != all_(param("hidden"))
_IS_IN_ORIGIN: Final = commands.c.state == any_(param("origins"))
_IS_KEYED: Final = and_(
    commands.c.actor_id == param("actor_id"), _IS_OF_VEHICLE, commands.c.idempotency_key == param("idempotency_key")
)
_KEYS_SINCE: Final = func.now() - KEY_DAYS * DAY

_IS_PARANOID: Final = exists().where(
    messages.c.vehicle == param("vehicle"), messages.c.valid, messages.c.paranoid, messages.c.code.in_(PARANOID_BY)
)
_ADDED: Final = {name: param(name, commands.c[name].type) for name in New.__dataclass_fields__ if name != "seconds"} | {
    "expires_at": func.now() + param("seconds") * SECOND
}
_has_room: Final = select(func.count()).where(_IS_OF_VEHICLE, _IS_OPEN).scalar_subquery() < MOST_OPEN
_added: Final = (
    upsert(commands)
    .from_select(list(_ADDED), select(*_ADDED.values()).where(_has_room, not_(_IS_PARANOID)))
    .on_conflict_do_nothing(
        index_elements=["actor_id", "vehicle", "idempotency_key"], index_where=commands.c.idempotency_key.is_not(None)
    )
    .returning(commands)
    .cte("added")
)
_ADD: Final = Query(
    Command,
    select(*_shown(_added), _IS_PARANOID.label("is_paranoid"))
    .join_from(vehicles, _added, vehicles.c.id == _added.c.vehicle, isouter=True)
    .where(vehicles.c.id == param("vehicle")),
)
_PARANOID: Final = Statement(select(_IS_PARANOID))

_ONE: Final = Query(Command, _select(commands).where(_IS_ONE))

_OF_VEHICLE: Final = Query(Command, _select(commands).where(_IS_ONE, _IS_OF_VEHICLE, _IS_SHOWN))

_PAGE: Final = Query(
    Command,
    _select(commands)
    .where(_IS_OF_VEHICLE, commands.c.place < param("before"), _IS_SHOWN)
    .order_by(commands.c.place.desc())
    .limit(param("most")),
)

_KEYED: Final = Query(
    Command,
    _select(commands)
    .add_columns(commands.c.request_mark, commands.c.request_key_id)
    .where(_IS_KEYED, commands.c.created_at >= _KEYS_SINCE)
    .add_cte(
        update(commands).values(idempotency_key=null()).where(_IS_KEYED, commands.c.created_at < _KEYS_SINCE).cte("freed")
    ),
)

_sent: Final = commands.alias("sent")
_next: Final = (
    select(commands.c.id)
    .where(
        _IS_OF_VEHICLE,
        _IS_IN_ORIGIN,
        _IS_OPEN,
        commands.c.expires_at > func.now(),
        not_(exists().where(_sent.c.vehicle == param("vehicle"), _sent.c.state == "sent")),
    )
    .order_by(commands.c.place)
    .limit(1)
    .scalar_subquery()
)
_taken: Final = (
    update(commands)
    .values(
        state=param("state"),
        sent_at=func.now(),
        answer_by=func.now() + param("within") * SECOND,
        revision=commands.c.revision + 1,
    )
    .where(commands.c.id == _next, _IS_IN_ORIGIN, or_(commands.c.only_by.is_(None), commands.c.only_by == param("by")))
    .returning(commands)
    .cte("taken")
)
_TAKE_NEXT: Final = Query(Command, _select(_taken).add_columns(_taken.c.message, _taken.c.message_key_id, _taken.c.waits))

_PUT_BACK: Final = Query(
    Command,
    _select(
        update(commands)
        .values(state=param("state"), sent_at=null(), answer_by=null(), revision=commands.c.revision + 1)
        .where(_IS_ONE, _IS_IN_ORIGIN)
        .returning(commands)
        .cte("moved")
    ),
)


def _end(which: ColumnElement[bool]) -> Query[Command]:
    """End commands, and add it to the audit log of their vehicle's owner in the same step: neither is without the other."""
    ended = (
        update(commands)
        .values(
            state=param("state"),
            result=param("result"),
            words=param("words"),
            finished_at=func.now(),
            revision=commands.c.revision + 1,
            message=null(),
            message_key_id=null(),
        )
        .where(_IS_IN_ORIGIN, which)
        .returning(commands)
        .cte("ended")
    )
    detail = [part for name in ("kind", "number", "state", "result") for part in (name, ended.c[name])]
    entry = {
        "owner_id": vehicles.c.owner_id,
        "actor": func.coalesce(param("actor"), ended.c.actor),
        "means": func.coalesce(param("means"), ended.c.means),
        "action": literal("command"),
        "vehicle_id": vehicles.c.vehicle_id,
        "detail": func.jsonb_build_object(*detail),
    }
    entries = select(*entry.values()).join_from(ended, vehicles, vehicles.c.id == ended.c.vehicle)
    return Query(Command, _select(ended).add_cte(insert(audit).from_select(list(entry), entries).cte("noted")))


def _some(which: ColumnElement[bool]) -> ColumnElement[bool]:
    return commands.c.id.in_(
        select(commands.c.id).where(_IS_OPEN, _IS_IN_ORIGIN, which).limit(STEP).with_for_update(skip_locked=True)
    )


_END_ONE: Final = _end(_IS_ONE)
_END_HASTY: Final = _end(and_(_IS_OF_VEHICLE, not_(commands.c.waits)))
_END_LATE: Final = _end(_some(commands.c.expires_at <= func.now()))
_END_LOST: Final = _end(_some(commands.c.answer_by <= func.now()))

_WAITING: Final = Query(
    Waiting,
    select(commands.c.vehicle, vehicles.c.vehicle_id, func.bool_or(not_(commands.c.waits)).label("is_hasty"))
    .join_from(commands, vehicles, vehicles.c.id == commands.c.vehicle)
    .where(_IS_OPEN, commands.c.vehicle > param("after"))
    .group_by(commands.c.vehicle, vehicles.c.vehicle_id)
    .having(not_(func.bool_or(commands.c.state == "sent")))
    .order_by(commands.c.vehicle)
    .limit(STEP),
)

_FORGET: Final = Statement(
    delete(commands).where(
        commands.c.id.in_(select(commands.c.id).where(commands.c.finished_at < func.now() - param("days") * DAY).limit(STEP))
    )
)


def message_context(command_id: UUID) -> str:
    """What a command's message is sealed for."""
    return f"command {command_id}"


async def add(db: Pool, new: New) -> Command | Keyed:
    """Queue a command; return what its idempotency key stands for already, if another call has used it at the same time.

    Raises:
        Paranoid: the vehicle reads no commands.
        TooManyOpen: the vehicle has too many.
    """
    row = await _ADD.fetchrow(db, **_parameters(new))
    if row is not None and row["id"] is not None:
        return _ADD.build(row)
    if row is not None and row["is_paranoid"]:
        raise Paranoid
    # Another call that used the same key has been committed by now.
    key = new.idempotency_key
    if key is not None and (keyed := await find_keyed(db, new.actor_id, new.vehicle, key)) is not None:
        return keyed
    raise TooManyOpen


async def is_paranoid(db: Pool, vehicle: int) -> bool:
    """Return whether a vehicle is in paranoid mode."""
    return bool(await _PARANOID.fetchval(db, vehicle=vehicle))


async def find_keyed(db: Pool, actor_id: int, vehicle: int, key: str) -> Keyed | None:
    """Return the command that an idempotency key stands for; a key that has become too old is free again."""
    row = await _KEYED.fetchrow(db, actor_id=actor_id, vehicle=vehicle, idempotency_key=key)
    return None if row is None else Keyed(row["request_mark"], row["request_key_id"], _KEYED.build(row))


async def find(db: Pool, command_id: UUID) -> Command | None:
    """A command."""
    return await _ONE.find(db, id=command_id)


async def find_of(db: Pool, vehicle: int, command_id: UUID, hidden: Sequence[str]) -> Command | None:
    """A command of a vehicle, unless it is of one of these kinds."""
    return await _OF_VEHICLE.find(db, id=command_id, vehicle=vehicle, hidden=hidden)


async def list_page(db: Pool, vehicle: int, before: int, most: int, hidden: Sequence[str]) -> list[Command]:
    """Commands of a vehicle with a place below `before`, the newest first, without those of some kinds."""
    return await _PAGE.find_all(db, vehicle=vehicle, before=before, hidden=hidden, most=most)


async def take_next(db: Pool, vehicle: int, by: str, origins: Sequence[str], state: str, within: float) -> Taken | None:
    """Mark a vehicle's next command as sent, before it is; None: there is none, one is being sent, or another process sends it.

    Args:
        by: the process that sends it.
        within: seconds after which its sender must have died.
    """
    try:
        row = await _TAKE_NEXT.fetchrow(db, vehicle=vehicle, by=by, origins=origins, state=state, within=within)
    except asyncpg.UniqueViolationError:
        return None
    return None if row is None else Taken(row["message"], row["message_key_id"], row["waits"], _TAKE_NEXT.build(row))


async def put_back(db: Pool, command_id: UUID, origins: Sequence[str], state: str) -> Command | None:
    """A command was not sent after all; None: it is not one that was to be."""
    return await _PUT_BACK.find(db, id=command_id, origins=origins, state=state)


async def end(db: Pool, command_id: UUID, how: End) -> Command | None:
    """End a command; None: it is not in a state from which it ends so."""
    return await _END_ONE.find(db, id=command_id, **_parameters(how))


async def end_hasty(db: Pool, vehicle: int, how: End) -> list[Command]:
    """End what does not wait for an absent vehicle."""
    return await _END_HASTY.find_all(db, vehicle=vehicle, **_parameters(how))


async def end_late(db: Pool, how: End) -> list[Command]:
    """End some of those whose time to be sent is over."""
    return await _END_LATE.find_all(db, **_parameters(how))


async def end_lost(db: Pool, how: End) -> list[Command]:
    """End some of those whose sender must have died."""
    return await _END_LOST.find_all(db, **_parameters(how))


async def list_waiting(db: Pool, after: int) -> list[Waiting]:
    """Some vehicles that are to be told something, in order of their keys, from the one after `after` on."""
    return await _WAITING.find_all(db, after=after)


async def forget(db: Pool, days: int) -> bool:
    """Remove some of what ended more than so many days ago; whether there may be more of it."""
    return await _FORGET.execute(db, days=days) == STEP


def _parameters(given: New | End) -> dict[str, Any]:
    return {name: getattr(given, name) for name in given.__dataclass_fields__}
