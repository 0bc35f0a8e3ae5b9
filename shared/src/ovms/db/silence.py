"""Notices that a vehicle has been silent, and that it is back: which owners want them, and which are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import any_, delete, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection, Database
from ovms.db.statement import HOUR, Query, Statement, param
from ovms.db.tables import messages
from ovms.db.tables import silence_notices as notices


@dataclass(frozen=True, slots=True)
class SilenceNotice:
    """When the owner of a vehicle is notified that it is silent."""

    hours: int
    is_silent: bool
    """Whether the owner was notified, and the vehicle is not back."""


_GET: Final = Query(SilenceNotice, select(notices.c.hours, notices.c.is_silent).where(notices.c.vehicle == param("vehicle")))

# A vehicle that was silent before its owner asked is due after the whole time: what its owner knows already is no news.
_putting: Final = upsert(notices).values(vehicle=param("vehicle"), hours=param("hours"))
_PUT: Final = Statement(
    _putting.on_conflict_do_update(
        index_elements=["vehicle"],
        set_={"hours": _putting.excluded.hours, "heard_at": func.greatest(notices.c.heard_at, func.now()), "is_silent": False},
        where=notices.c.hours != _putting.excluded.hours,
    )
)

_END: Final = Statement(delete(notices).where(notices.c.vehicle == param("vehicle")))

_CONNECTED: Final = Statement(update(notices).values(heard_at=func.now()).where(notices.c.vehicle == any_(param("vehicles"))))

# A vehicle may connect and leave between two looks.
_received: Final = (
    select(messages.c.vehicle, func.least(func.now(), func.max(messages.c.received_at)).label("at"))
    .join_from(messages, notices, notices.c.vehicle == messages.c.vehicle)
    .group_by(messages.c.vehicle)
    .subquery("received")
)
_RECEIVED: Final = Statement(
    update(notices)
    .values(heard_at=_received.c.at)
    .where(notices.c.vehicle == _received.c.vehicle, _received.c.at > notices.c.heard_at)
)

# A row is locked by the first of several replicas; the others find it changed.
_SILENT: Final = Statement(
    update(notices)
    .values(is_silent=True, silent_at=func.now())
    .where(not_(notices.c.is_silent), notices.c.heard_at < func.now() - notices.c.hours * HOUR)
    .returning(notices.c.vehicle, notices.c.hours)
)

_BACK: Final = Statement(
    update(notices)
    .values(is_silent=False)
    .where(notices.c.is_silent, notices.c.heard_at > notices.c.silent_at)
    .returning(notices.c.vehicle)
)


async def find_silence_notice(db: Database, vehicle: int) -> SilenceNotice | None:
    """Return what the owner of a vehicle has asked for; None: no notice."""
    return await _GET.find(db, vehicle=vehicle)


async def put_silence_notice(db: Database, vehicle: int, hours: int) -> None:
    """Notify the owner of a vehicle when it has been silent for some hours, and when it is back."""
    await _PUT.execute(db, vehicle=vehicle, hours=hours)


async def end_silence_notice(db: Database, vehicle: int) -> bool:
    """Stop these notices; return whether there were any."""
    return await _END.execute(db, vehicle=vehicle) > 0


async def note_heard(connection: Connection, connected: Sequence[int]) -> list[int]:
    """Note that vehicles are connected, and when others were; return those that were silent and are back."""
    await _CONNECTED.execute(connection, vehicles=connected)
    await _RECEIVED.execute(connection)
    return [row[0] for row in await _BACK.fetch(connection)]


async def take_silent(connection: Connection) -> list[tuple[int, int]]:
    """Return the vehicles that have been silent for as long as their owners want to know, with the hours; each once."""
    return [(vehicle, hours) for vehicle, hours in await _SILENT.fetch(connection)]
