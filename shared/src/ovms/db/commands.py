"""What vehicles are told, and what became of it. Which state may follow which is not decided here: callers say from which."""

# Statements are put together of constants of this file alone.
# ruff: noqa: S608

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from ovms.db.engine import Pool
from ovms.identity import VehicleName

MOST_OPEN: Final = 32
"""Commands of one vehicle that are not finished."""
KEY_DAYS: Final = 1
"""An idempotency key stands for one request so long."""
STEP: Final = 500
"""Rows that one statement ends or removes at most."""
NEWEST: Final = 2**63 - 1

_OPEN: Final = "finished_at IS NULL"

_COLUMNS: Final = """
c.id, c.place, c.vehicle, v.vehicle_id, c.kind, c.arguments, c.actor, c.state, c.revision, c.created_at, c.expires_at,
c.sent_at, c.finished_at, c.result, c.words
"""
_FROM: Final = f"SELECT {_COLUMNS} FROM commands c JOIN vehicles v ON v.id = c.vehicle"

_FREE_KEY: Final = f"""
UPDATE commands SET idempotency_key = NULL
WHERE actor_id = $1 AND vehicle = $2 AND idempotency_key = $3 AND created_at < now() - interval '{KEY_DAYS} day'
"""

_ADD: Final = f"""
INSERT INTO commands (id, vehicle, actor_id, actor, means, kind, number, arguments, message, message_key_id, waits, only_by,
  expires_at, idempotency_key, request_mark, request_key_id)
SELECT $1::uuid, $2::bigint, $3::bigint, $4::text, $5::text, $6::text, $7::integer, $8::jsonb, $9::bytea, $10::text,
  $11::boolean, $12::text, now() + $13 * interval '1 second', $14::text, $15::bytea, $16::text
WHERE (SELECT count(*) FROM commands WHERE vehicle = $2 AND {_OPEN}) < {MOST_OPEN}
ON CONFLICT (actor_id, vehicle, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
"""

_ONE: Final = f"{_FROM} WHERE c.id = $1"

_OF_VEHICLE: Final = f"{_FROM} WHERE c.id = $1 AND c.vehicle = $2 AND c.kind <> ALL($3::text[])"

_PAGE: Final = f"""
{_FROM} WHERE c.vehicle = $1 AND c.place < $2 AND c.kind <> ALL($3::text[]) ORDER BY c.place DESC LIMIT $4
"""

_KEYED: Final = f"""
SELECT c.request_mark, c.request_key_id, {_COLUMNS} FROM commands c JOIN vehicles v ON v.id = c.vehicle
WHERE c.actor_id = $1 AND c.vehicle = $2 AND c.idempotency_key = $3 AND c.created_at >= now() - interval '{KEY_DAYS} day'
"""

_HEAD: Final = """
SELECT id, waits, only_by FROM commands
WHERE vehicle = $1 AND state = ANY($2::text[]) AND finished_at IS NULL AND expires_at > now()
  AND NOT EXISTS (SELECT FROM commands WHERE vehicle = $1 AND state = 'sent')
ORDER BY place LIMIT 1
"""

_TAKE: Final = f"""
WITH taken AS (
  UPDATE commands SET state = $3, sent_at = now(), answer_by = now() + $4 * interval '1 second', revision = revision + 1
  WHERE id = $1 AND state = ANY($2::text[]) AND expires_at > now() RETURNING *)
SELECT c.message, c.message_key_id, {_COLUMNS} FROM taken c JOIN vehicles v ON v.id = c.vehicle
"""

_PUT_BACK: Final = f"""
WITH moved AS (
  UPDATE commands SET state = $3, sent_at = NULL, answer_by = NULL, revision = revision + 1
  WHERE id = $1 AND state = ANY($2::text[]) RETURNING *)
SELECT {_COLUMNS} FROM moved c JOIN vehicles v ON v.id = c.vehicle
"""


def _end(which: str) -> str:
    """Ends commands, and tells it the trail of their vehicle's owner in the same step: neither is without the other."""
    return f"""
WITH ended AS (
  UPDATE commands SET state = $2, result = $3, words = $4, finished_at = now(), revision = revision + 1,
    message = NULL, message_key_id = NULL
  WHERE state = ANY($1::text[]) AND {which} RETURNING *),
noted AS (
  INSERT INTO audit (owner_id, actor, means, action, vehicle_id, detail)
  SELECT v.owner_id, coalesce($5, c.actor), coalesce($6, c.means), 'command', v.vehicle_id,
    jsonb_build_object('kind', c.kind, 'number', c.number, 'state', c.state, 'result', c.result)
  FROM ended c JOIN vehicles v ON v.id = c.vehicle)
SELECT {_COLUMNS} FROM ended c JOIN vehicles v ON v.id = c.vehicle
"""


_END_ONE: Final = _end("id = $7")

_END_HASTY: Final = _end("vehicle = $7 AND NOT waits")

_SOME: Final = f"id IN (SELECT id FROM commands WHERE {_OPEN} AND {{}} LIMIT {STEP} FOR UPDATE SKIP LOCKED)"
_END_LATE: Final = _end(_SOME.format("state = ANY($1::text[]) AND expires_at <= now()"))
_END_LOST: Final = _end(_SOME.format("state = ANY($1::text[]) AND answer_by <= now()"))

_WAITING: Final = f"""
SELECT c.vehicle, v.vehicle_id, bool_or(NOT c.waits) FROM commands c JOIN vehicles v ON v.id = c.vehicle
WHERE {_OPEN} AND c.vehicle > $1
GROUP BY c.vehicle, v.vehicle_id HAVING NOT bool_or(c.state = 'sent') ORDER BY c.vehicle LIMIT {STEP}
"""

_FORGET: Final = f"""
DELETE FROM commands WHERE id IN (
  SELECT id FROM commands WHERE finished_at < now() - $1 * interval '1 day' LIMIT {STEP})
"""


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
class Head:
    """The command that is to be sent next."""

    id: UUID
    waits: bool
    only_by: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A command that is being sent."""

    message: bytes = field(repr=False)
    """Sealed."""
    message_key_id: str
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


def message_context(command_id: UUID) -> str:
    """What a command's message is sealed for."""
    return f"command {command_id}"


async def add(db: Pool, new: New) -> Command | Keyed:
    """Take a command; what its idempotency key stands for already, where that is so.

    Raises:
        TooManyOpen: the vehicle has too many.
    """
    async with db.acquire() as connection, connection.transaction():
        if new.idempotency_key is not None:
            await connection.execute(_FREE_KEY, new.actor_id, new.vehicle, new.idempotency_key)
        await connection.execute(
            _ADD,
            new.id,
            new.vehicle,
            new.actor_id,
            new.actor,
            new.means,
            new.kind,
            new.number,
            json.dumps(new.arguments),
            new.message,
            new.message_key_id,
            new.waits,
            new.only_by,
            new.seconds,
            new.idempotency_key,
            new.request_mark,
            new.request_key_id,
        )
        if (row := await connection.fetchrow(_ONE, new.id)) is not None:
            return _command(row)
        # Another transaction that took the same key has been committed by now.
        row = await connection.fetchrow(_KEYED, new.actor_id, new.vehicle, new.idempotency_key)
    if row is None:
        raise TooManyOpen
    return _keyed(row)


async def find_keyed(db: Pool, actor_id: int, vehicle: int, key: str) -> Keyed | None:
    """What somebody's idempotency key stands for."""
    row = await db.fetchrow(_KEYED, actor_id, vehicle, key)
    return None if row is None else _keyed(row)


async def find(db: Pool, command_id: UUID) -> Command | None:
    """A command."""
    row = await db.fetchrow(_ONE, command_id)
    return None if row is None else _command(row)


async def find_of(db: Pool, vehicle: int, command_id: UUID, hidden: Sequence[str]) -> Command | None:
    """A command of a vehicle, unless it is of one of these kinds."""
    row = await db.fetchrow(_OF_VEHICLE, command_id, vehicle, hidden)
    return None if row is None else _command(row)


async def list_page(db: Pool, vehicle: int, before: int, most: int, hidden: Sequence[str]) -> list[Command]:
    """Commands of a vehicle with a place below `before`, the newest first, without those of some kinds."""
    return [_command(row) for row in await db.fetch(_PAGE, vehicle, before, hidden, most)]


async def head(db: Pool, vehicle: int, origins: Sequence[str]) -> Head | None:
    """What a vehicle is to be told next; None: nothing, or it is told something now."""
    row = await db.fetchrow(_HEAD, vehicle, origins)
    return None if row is None else Head(*row)


async def take(db: Pool, command_id: UUID, origins: Sequence[str], state: str, within: float) -> Taken | None:
    """Say, before it is so, that a command is sent; None: it is not to be, or another one of its vehicle is.

    Args:
        within: seconds after which whoever sends it must have died.
    """
    try:
        row = await db.fetchrow(_TAKE, command_id, origins, state, within)
    except asyncpg.UniqueViolationError:
        return None
    return None if row is None else Taken(row[0], row[1], _command(row[2:]))


async def put_back(db: Pool, command_id: UUID, origins: Sequence[str], state: str) -> Command | None:
    """A command was not sent after all; None: it is not one that was to be."""
    row = await db.fetchrow(_PUT_BACK, command_id, origins, state)
    return None if row is None else _command(row)


async def end(db: Pool, command_id: UUID, how: End) -> Command | None:
    """End a command; None: it is not in a state from which it ends so."""
    row = await db.fetchrow(_END_ONE, *_arguments(how), command_id)
    return None if row is None else _command(row)


async def end_hasty(db: Pool, vehicle: int, how: End) -> list[Command]:
    """End what does not wait for an absent vehicle."""
    return [_command(row) for row in await db.fetch(_END_HASTY, *_arguments(how), vehicle)]


async def end_late(db: Pool, how: End) -> list[Command]:
    """End some of those whose time to be sent is over."""
    return [_command(row) for row in await db.fetch(_END_LATE, *_arguments(how))]


async def end_lost(db: Pool, how: End) -> list[Command]:
    """End some of those whose sender must have died."""
    return [_command(row) for row in await db.fetch(_END_LOST, *_arguments(how))]


async def list_waiting(db: Pool, after: int) -> list[Waiting]:
    """Some vehicles that are to be told something, in order of their keys, from the one after `after` on."""
    return [Waiting(*row) for row in await db.fetch(_WAITING, after)]


async def forget(db: Pool, days: int) -> bool:
    """Remove some of what ended more than so many days ago; whether there may be more of it."""
    status = await db.execute(_FORGET, days)
    return int(status.removeprefix("DELETE ")) == STEP


def _arguments(how: End) -> tuple[Any, ...]:
    return (how.origins, how.state, how.result, how.words, how.actor, how.means)


def _command(row: Any) -> Command:
    command_id, place, vehicle, vehicle_id, kind, arguments, *others = row
    return Command(command_id, place, vehicle, vehicle_id, kind, json.loads(arguments), *others)


def _keyed(row: Any) -> Keyed:
    return Keyed(row[0], row[1], _command(row[2:]))
