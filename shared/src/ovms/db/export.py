"""All that is kept of an owner, row by row, but passwords and what tokens are checked against: nobody needs to read those."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ovms.db.engine import Pool
from ovms.db.history import PAGE_BYTES

Row = Mapping[str, Any]

PAGE: Final = 200
"""Rows read at once, if their data is short."""

_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_LOWEST: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind.

    Args:
        kind: what each is called.
        table: where they are from.
        statement: takes the owner or vehicle, then `place`, then how many to read.
        first: the lowest place; without one all rows are read at once, since there are few.
        place: the columns of a row's place.
    """

    kind: str
    table: str
    statement: str
    first: tuple[Any, ...] = ()
    place: tuple[str, ...] = ()


_COMMAND: Final = (
    "SELECT place, commands.id::text AS id, vehicle_id AS vehicle, kind AS command, arguments::text AS arguments, actor, "
    "means, state, commands.created_at, expires_at, sent_at, finished_at, result, words "
    "FROM commands JOIN vehicles ON vehicles.id = vehicle "
)

# A record may have 2 MiB: as many as are not too long together, and at least one.
_RECORDS: Final = f"""
SELECT record_type, recorded_at, record_number, data, expires_at FROM (
  SELECT *, sum(octet_length(data)) OVER (ORDER BY record_type, recorded_at, record_number) - octet_length(data) AS size_before
  FROM (
    SELECT record_type, recorded_at, record_number, data, expires_at FROM history
    WHERE vehicle = $1 AND (record_type, recorded_at, record_number) > ($2, $3, $4)
    ORDER BY record_type, recorded_at, record_number LIMIT $5) AS next) AS sized
WHERE size_before < {PAGE_BYTES} ORDER BY record_type, recorded_at, record_number
"""  # noqa: S608

OF_OWNER: Final = (
    Part("account", "owners", "SELECT name, email, created_at FROM owners WHERE id = $1"),
    Part(
        "token",
        "api_tokens",
        "SELECT encode(substr(sha256, 1, 8), 'hex') AS identifier, application, purpose, permit, vehicles, created_at, "
        "refreshed_at, last_used_at, expires_at FROM api_tokens WHERE owner_id = $1 ORDER BY id",
    ),
    Part(
        "mail_address",
        "mail_addresses",
        "SELECT address, confirmed_at, code_sent_at, mails FROM mail_addresses WHERE owner_id = $1 ORDER BY address",
    ),
    Part(
        "shared_with_you",
        "shares",
        "SELECT vehicle_id AS vehicle, permit, shares.created_at, expires_at FROM shares "
        "JOIN vehicles ON vehicles.id = vehicle WHERE shares.owner_id = $1 ORDER BY vehicle_id",
    ),
    Part(
        "offered_to_you",
        "share_offers",
        "SELECT vehicle_id AS vehicle, permit, share_offers.created_at, expires_at FROM share_offers "
        "JOIN vehicles ON vehicles.id = vehicle WHERE folded = (SELECT lower(name) FROM owners WHERE id = $1) "
        "ORDER BY vehicle_id",
    ),
    Part(
        "enciphered_configuration",
        "enciphered_configurations",
        "SELECT key, created_at FROM enciphered_configurations WHERE owner_id = $1 ORDER BY key",
    ),
    Part("brought_from", "reference_owners", "SELECT number FROM reference_owners WHERE owner_id = $1"),
    Part(
        "reserved_id",
        "reserved_vehicle_ids",
        "SELECT encode(digest, 'hex') AS sha256, until FROM reserved_vehicle_ids WHERE owner_id = $1 ORDER BY until",
    ),
    Part("autoprovision", "autoprovision", "SELECT key, created_at FROM autoprovision WHERE owner_id = $1 ORDER BY key"),
    Part(
        "command_to_others",
        "commands",
        f"{_COMMAND} WHERE actor_id = $1 AND owner_id <> $1 AND place > $2 ORDER BY place LIMIT $3",
        (0,),
        ("place",),
    ),
    Part(
        "audit",
        "audit",
        "SELECT id, at, actor, means, action, vehicle_id AS vehicle, detail::text AS detail FROM audit "
        "WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        (0,),
        ("id",),
    ),
)

OF_VEHICLE: Final = (
    Part("vehicle", "vehicles", "SELECT created_at, paranoid_token <> '' AS paranoid FROM vehicles WHERE id = $1"),
    Part(
        "message",
        "messages",
        'SELECT code, data, received_at, paranoid, valid FROM messages WHERE vehicle = $1 ORDER BY code COLLATE "C"',
    ),
    Part(
        "share",
        "shares",
        "SELECT name AS owner, permit, shares.created_at, expires_at FROM shares JOIN owners ON owners.id = shares.owner_id "
        "WHERE vehicle = $1 ORDER BY name",
    ),
    Part(
        "share_offer",
        "share_offers",
        "SELECT name AS owner, permit, created_at, expires_at FROM share_offers WHERE vehicle = $1 ORDER BY folded",
    ),
    Part("silence_notice", "silence_notices", "SELECT hours, heard_at, is_silent FROM silence_notices WHERE vehicle = $1"),
    Part(
        "subscription",
        "push_subscriptions",
        "SELECT app_id, push_type, key_type, key, updated_at FROM push_subscriptions WHERE vehicle = $1 ORDER BY app_id",
    ),
    Part(
        "command",
        "commands",
        f"{_COMMAND} WHERE vehicle = $1 AND place > $2 ORDER BY place LIMIT $3",
        (0,),
        ("place",),
    ),
    Part(
        "push",
        "push_outbox",
        "SELECT id, app_id, message, created_at, count, done_at FROM push_outbox "
        "WHERE vehicle = $1 AND id > $2 ORDER BY id LIMIT $3",
        (0,),
        ("id",),
    ),
    Part(
        "record",
        "history",
        _RECORDS,
        ("", _BEGINNING, _LOWEST),
        ("record_type", "recorded_at", "record_number"),
    ),
    Part(
        "brought_until",
        "reference_positions",
        "SELECT record_type, record_number, recorded_at, finished FROM reference_positions WHERE vehicle = $1",
    ),
    Part(
        "sample",
        "samples",
        "SELECT code, recorded_at, data, units, expires_at FROM samples WHERE vehicle = $1 AND (code, recorded_at) > ($2, $3) "
        "ORDER BY code, recorded_at LIMIT $4",
        ("", _BEGINNING),
        ("code", "recorded_at"),
    ),
    Part(
        "state",
        "state_history",
        "SELECT code, recorded_at, data FROM state_history WHERE vehicle = $1 AND (code, recorded_at) > ($2, $3) "
        "ORDER BY code, recorded_at LIMIT $4",
        ("", _BEGINNING),
        ("code", "recorded_at"),
    ),
)

_VEHICLES: Final = 'SELECT id, vehicle_id FROM vehicles WHERE owner_id = $1 ORDER BY upper(vehicle_id) COLLATE "C"'


async def export(db: Pool, owner_id: int) -> AsyncIterator[tuple[str, Row]]:
    """The rows, each with its kind. No connection is held while one is used."""
    for part in OF_OWNER:
        async for row in _read(db, part, owner_id):
            yield part.kind, row
    for vehicle, vehicle_id in await db.fetch(_VEHICLES, owner_id):
        for part in OF_VEHICLE:
            async for row in _read(db, part, vehicle):
                yield part.kind, {"vehicle": vehicle_id, **row}


async def _read(db: Pool, part: Part, key: int) -> AsyncIterator[Row]:
    if not part.place:
        for row in await db.fetch(part.statement, key):
            yield dict(row)
        return
    place = part.first
    while rows := await db.fetch(part.statement, key, *place, PAGE):
        for row in rows:
            yield dict(row)
        place = tuple(rows[-1][column] for column in part.place)
