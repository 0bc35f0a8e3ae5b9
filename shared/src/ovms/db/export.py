"""All that is kept of an owner, row by row, but passwords and what tokens are checked against: nobody needs to read those."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, Text, cast, func, select, tuple_

from ovms.db.engine import Pool
from ovms.db.history import PAGE_BYTES, within_bytes
from ovms.db.statement import Statement, columns, param
from ovms.db.tables import (
    api_tokens,
    audit,
    autoprovision,
    commands,
    enciphered_configurations,
    history,
    mail_addresses,
    messages,
    owners,
    push_outbox,
    push_subscriptions,
    reference_owners,
    reference_positions,
    reserved_vehicle_ids,
    samples,
    share_offers,
    shares,
    silence_notices,
    state_history,
    vehicles,
)

Row = Mapping[str, Any]

PAGE: Final = 200
"""Rows read at once, if their data is short."""

_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_LOWEST: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind."""

    kind: str
    """What each is called."""
    table: str
    """Where they are from."""
    statement: Statement
    """Takes the key of the owner or vehicle; of rows that are read in pages, also the place of the last one and a limit."""
    first: Mapping[str, object]
    """The columns of a row's place, and the lowest place; empty: all rows are read at once, since there are few."""


_KEY: Final = param("key")


def _page(rows: Select[Any], table: Table, place: Iterable[str]) -> Select[Any]:
    order = columns(table, *place)
    return rows.where(tuple_(*order) > tuple_(*map(param, place))).order_by(*order).limit(param("limit"))


def _part(kind: str, table: Table, rows: Select[Any], **first: object) -> Part:
    return Part(kind, table.name, Statement(_page(rows, table, first) if first else rows), first)


def _commands(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            commands.c.place,
            cast(commands.c.id, Text).label("id"),
            vehicles.c.vehicle_id.label("vehicle"),
            commands.c.kind.label("command"),
            *columns(
                commands,
                "arguments",
                "actor",
                "means",
                "state",
                "created_at",
                "expires_at",
                "sent_at",
                "finished_at",
                "result",
                "words",
            ),
        )
        .join_from(commands, vehicles, vehicles.c.id == commands.c.vehicle)
        .where(*conditions)
    )


_RECORD_PLACE: Final = {"record_type": "", "recorded_at": _BEGINNING, "record_number": _LOWEST}

OF_OWNER: Final = (
    _part("account", owners, select(*columns(owners, "name", "email", "created_at")).where(owners.c.id == _KEY)),
    _part(
        "token",
        api_tokens,
        select(
            func.encode(func.substr(api_tokens.c.sha256, 1, 8), "hex").label("identifier"),
            *columns(
                api_tokens,
                "application",
                "purpose",
                "permit",
                "vehicles",
                "created_at",
                "refreshed_at",
                "last_used_at",
                "expires_at",
            ),
        )
        .where(api_tokens.c.owner_id == _KEY)
        .order_by(api_tokens.c.id),
    ),
    _part(
        "mail_address",
        mail_addresses,
        select(*columns(mail_addresses, "address", "confirmed_at", "code_sent_at", "mails"))
        .where(mail_addresses.c.owner_id == _KEY)
        .order_by(mail_addresses.c.address),
    ),
    _part(
        "shared_with_you",
        shares,
        select(vehicles.c.vehicle_id.label("vehicle"), *columns(shares, "permit", "created_at", "expires_at"))
        .join_from(shares, vehicles, vehicles.c.id == shares.c.vehicle)
        .where(shares.c.owner_id == _KEY)
        .order_by(vehicles.c.vehicle_id),
    ),
    _part(
        "offered_to_you",
        share_offers,
        select(vehicles.c.vehicle_id.label("vehicle"), *columns(share_offers, "permit", "created_at", "expires_at"))
        .join_from(share_offers, vehicles, vehicles.c.id == share_offers.c.vehicle)
        .where(share_offers.c.folded == select(func.lower(owners.c.name)).where(owners.c.id == _KEY).scalar_subquery())
        .order_by(vehicles.c.vehicle_id),
    ),
    _part(
        "enciphered_configuration",
        enciphered_configurations,
        select(*columns(enciphered_configurations, "key", "created_at"))
        .where(enciphered_configurations.c.owner_id == _KEY)
        .order_by(enciphered_configurations.c.key),
    ),
    _part(
        "brought_from",
        reference_owners,
        select(*columns(reference_owners, "number")).where(reference_owners.c.owner_id == _KEY),
    ),
    _part(
        "reserved_id",
        reserved_vehicle_ids,
        select(func.encode(reserved_vehicle_ids.c.digest, "hex").label("sha256"), reserved_vehicle_ids.c.until)
        .where(reserved_vehicle_ids.c.owner_id == _KEY)
        .order_by(reserved_vehicle_ids.c.until),
    ),
    _part(
        "autoprovision",
        autoprovision,
        select(*columns(autoprovision, "key", "created_at"))
        .where(autoprovision.c.owner_id == _KEY)
        .order_by(autoprovision.c.key),
    ),
    _part("command_to_others", commands, _commands(commands.c.actor_id == _KEY, vehicles.c.owner_id != _KEY), place=0),
    _part(
        "audit",
        audit,
        select(
            *columns(audit, "id", "at", "actor", "means", "action"), audit.c.vehicle_id.label("vehicle"), audit.c.detail
        ).where(audit.c.owner_id == _KEY),
        id=0,
    ),
)

OF_VEHICLE: Final = (
    _part(
        "vehicle",
        vehicles,
        select(vehicles.c.created_at, (vehicles.c.paranoid_token != "").label("paranoid")).where(vehicles.c.id == _KEY),
    ),
    _part(
        "message",
        messages,
        select(*columns(messages, "code", "data", "received_at", "paranoid", "valid"))
        .where(messages.c.vehicle == _KEY)
        .order_by(messages.c.code.collate("C")),
    ),
    _part(
        "share",
        shares,
        select(owners.c.name.label("owner"), *columns(shares, "permit", "created_at", "expires_at"))
        .join_from(shares, owners, owners.c.id == shares.c.owner_id)
        .where(shares.c.vehicle == _KEY)
        .order_by(owners.c.name),
    ),
    _part(
        "share_offer",
        share_offers,
        select(share_offers.c.name.label("owner"), *columns(share_offers, "permit", "created_at", "expires_at"))
        .where(share_offers.c.vehicle == _KEY)
        .order_by(share_offers.c.folded),
    ),
    _part(
        "silence_notice",
        silence_notices,
        select(*columns(silence_notices, "hours", "heard_at", "is_silent")).where(silence_notices.c.vehicle == _KEY),
    ),
    _part(
        "subscription",
        push_subscriptions,
        select(*columns(push_subscriptions, "app_id", "push_type", "key_type", "key", "updated_at"))
        .where(push_subscriptions.c.vehicle == _KEY)
        .order_by(push_subscriptions.c.app_id),
    ),
    _part("command", commands, _commands(commands.c.vehicle == _KEY), place=0),
    _part(
        "push",
        push_outbox,
        select(*columns(push_outbox, "id", "app_id", "message", "created_at", "count", "done_at")).where(
            push_outbox.c.vehicle == _KEY
        ),
        id=0,
    ),
    Part(
        "record",
        history.name,
        Statement(
            within_bytes(
                _page(
                    select(*columns(history, "record_type", "recorded_at", "record_number", "data", "expires_at")).where(
                        history.c.vehicle == _KEY
                    ),
                    history,
                    _RECORD_PLACE,
                ),
                tuple(_RECORD_PLACE),
                PAGE_BYTES,
            )
        ),
        _RECORD_PLACE,
    ),
    _part(
        "brought_until",
        reference_positions,
        select(*columns(reference_positions, "record_type", "record_number", "recorded_at", "finished")).where(
            reference_positions.c.vehicle == _KEY
        ),
    ),
    _part(
        "sample",
        samples,
        select(*columns(samples, "code", "recorded_at", "data", "units", "expires_at")).where(samples.c.vehicle == _KEY),
        code="",
        recorded_at=_BEGINNING,
    ),
    _part(
        "state",
        state_history,
        select(*columns(state_history, "code", "recorded_at", "data")).where(state_history.c.vehicle == _KEY),
        code="",
        recorded_at=_BEGINNING,
    ),
)

_VEHICLES: Final = Statement(
    select(vehicles.c.id, vehicles.c.vehicle_id)
    .where(vehicles.c.owner_id == _KEY)
    .order_by(func.upper(vehicles.c.vehicle_id).collate("C"))
)


async def export(db: Pool, owner_id: int) -> AsyncIterator[tuple[str, Row]]:
    """The rows, each with its kind. No connection is held while one is used."""
    for part in OF_OWNER:
        async for row in _read(db, part, owner_id):
            yield part.kind, row
    for vehicle, vehicle_id in await _VEHICLES.fetch(db, key=owner_id):
        for part in OF_VEHICLE:
            async for row in _read(db, part, vehicle):
                yield part.kind, {"vehicle": vehicle_id, **row}


async def _read(db: Pool, part: Part, key: int) -> AsyncIterator[Row]:
    if not part.first:
        for row in await part.statement.fetch(db, key=key):
            yield dict(row)
        return
    place = part.first
    while rows := await part.statement.fetch(db, key=key, limit=PAGE, **place):
        for row in rows:
            yield dict(row)
        place = {column: rows[-1][column] for column in part.first}
