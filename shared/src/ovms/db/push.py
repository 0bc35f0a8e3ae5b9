"""Who gets notifications pushed, and the outbox of those that wait to be (docs/decisions/0007).

A row of the outbox is taken for a while, so that no other replica takes it meanwhile, and another one does if this one dies
with it. Rows that are done stay for some minutes. What has left in the last minute, and what is on its way, bound the next
take by subscription, by endpoint and owner, and by owner, all replicas together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    all_,
    and_,
    any_,
    case,
    cast,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection, Database, Pool
from ovms.db.mail_addresses import want_address
from ovms.db.statement import SECOND, Query, Statement, columns, param
from ovms.db.tables import mail_addresses, push_outbox, push_subscriptions, vehicles
from ovms.subscriptions import MAIL, endpoint_of

MOST_SUBSCRIPTIONS: Final = 64
"""Of one vehicle; the one that was renewed longest ago makes room."""

# Alerts and errors come before all else. Of an owner the first are numbered, and owners take turns by these numbers.
_TAKE: Final = """
WITH recent AS MATERIALIZED (
  SELECT rows.vehicle, rows.app_id, owner_id, endpoint, count(*) FILTER (WHERE done_at IS NULL) AS flying, count(*) AS sent
  FROM push_outbox AS rows JOIN push_subscriptions USING (vehicle, app_id) JOIN vehicles ON vehicles.id = rows.vehicle
  WHERE push_type = $1 AND (done_at > now() - interval '1 minute' OR done_at IS NULL AND taken_until > now())
  GROUP BY 1, 2, 3, 4),
waiting AS (
  SELECT rows.id, rows.vehicle, rows.app_id, vehicles.owner_id, endpoint, omitted,
    substring(message FROM 1 FOR 1) NOT IN ('A', 'E') AS is_info,
    CASE WHEN push_type <> 'mail' THEN 1000 WHEN hour_from > now() - interval '1 hour' THEN $8::bigint - mails ELSE $8::bigint
      END AS room
  FROM push_outbox AS rows JOIN push_subscriptions USING (vehicle, app_id) JOIN vehicles ON vehicles.id = rows.vehicle
  LEFT JOIN mail_addresses ON push_type = 'mail' AND mail_addresses.owner_id = vehicles.owner_id AND address = endpoint
  WHERE push_type = $1 AND done_at IS NULL AND due_at <= now() AND paused_until <= now()
    AND (taken_until IS NULL OR taken_until <= now()) AND (push_type <> 'mail' OR confirmed_at IS NOT NULL)),
numbered AS (
  SELECT waiting.*, row_number() OVER (PARTITION BY vehicle, app_id ORDER BY is_info, id) AS number FROM waiting),
next AS (
  SELECT rows.id, owner_id, endpoint, omitted, is_info, room, number
    + coalesce((SELECT recent.sent FROM recent WHERE (recent.vehicle, recent.app_id) = (rows.vehicle, rows.app_id)), 0) AS place
  FROM numbered AS rows WHERE $1 <> 'mail' OR number = 1),
of_endpoint AS (
  SELECT next.*, row_number() OVER (PARTITION BY owner_id, endpoint ORDER BY is_info, id) AS turn,
    coalesce((SELECT sum(flying) FROM recent WHERE (recent.owner_id, recent.endpoint) = (next.owner_id, next.endpoint)), 0)
      AS flying,
    coalesce((SELECT sum(recent.sent) FROM recent WHERE (recent.owner_id, recent.endpoint) = (next.owner_id, next.endpoint)), 0)
      AS sent
  FROM next WHERE place <= $4::bigint),
of_owner AS (
  SELECT of_endpoint.id, omitted, row_number() OVER (PARTITION BY owner_id ORDER BY is_info, id)
    + coalesce((SELECT sum(recent.flying) FROM recent WHERE recent.owner_id = of_endpoint.owner_id), 0) AS turn
  FROM of_endpoint WHERE turn <= room AND turn + flying <= $5::bigint AND turn + of_endpoint.sent <= $6::bigint),
chosen AS (
  SELECT id, omitted FROM of_owner JOIN push_outbox AS rows USING (id) WHERE turn <= $7::bigint
  ORDER BY turn, id LIMIT $2 FOR UPDATE OF rows SKIP LOCKED),
others AS (
  SELECT rows.id, 0 AS omitted FROM chosen JOIN numbered AS first USING (id)
  JOIN numbered USING (vehicle, app_id) JOIN push_outbox AS rows ON rows.id = numbered.id
  WHERE $1 = 'mail' AND numbered.number > 1 FOR UPDATE OF rows SKIP LOCKED),
taken AS (
  UPDATE push_outbox AS rows SET attempts = attempts + 1, taken_until = now() + $3 * interval '1 second'
  FROM (SELECT * FROM chosen UNION ALL SELECT * FROM others) AS picked WHERE rows.id = picked.id
  RETURNING rows.*, picked.omitted),
mailed AS (
  UPDATE mail_addresses AS kept SET hour_from = CASE WHEN hour_from > now() - interval '1 hour' THEN hour_from ELSE now() END,
    mails = count + CASE WHEN hour_from > now() - interval '1 hour' THEN mails ELSE 0 END
  FROM (SELECT owner_id, endpoint, count(*) FROM chosen JOIN waiting USING (id) GROUP BY 1, 2) AS sent
  WHERE $1 = 'mail' AND kept.owner_id = sent.owner_id AND kept.address = sent.endpoint),
shown AS (
  UPDATE push_subscriptions AS kept SET omitted = kept.omitted - first.omitted
  FROM (SELECT DISTINCT ON (vehicle, app_id) * FROM taken ORDER BY vehicle, app_id, id) AS first
  WHERE (kept.vehicle, kept.app_id) = (first.vehicle, first.app_id)
  RETURNING first.id)
SELECT taken.id, taken.vehicle, vehicle_id, taken.app_id, key_type, key, message, taken.created_at, attempts, count,
  CASE WHEN taken.id = (SELECT min(id) FROM taken AS same WHERE (same.vehicle, same.app_id) = (taken.vehicle, taken.app_id))
    THEN taken.omitted ELSE 0 END AS omitted, failures
FROM taken JOIN push_subscriptions USING (vehicle, app_id) JOIN vehicles ON vehicles.id = taken.vehicle
ORDER BY substring(message FROM 1 FOR 1) NOT IN ('A', 'E'), id
"""

MOST_OF_ENDPOINT_AT_ONCE: Final = 2
"""Deliveries of one owner to one endpoint."""
MOST_OF_OWNER_AT_ONCE: Final = 8
"""Deliveries of one owner and push type."""
MOST_OF_ENDPOINT: Final = 60
"""Deliveries of one owner to one endpoint in a minute."""
MOST_MAILS: Final = 20
"""Mails of one owner to one address in an hour; what waits longer comes in one mail."""
DONE_FOR: Final = 60.0
"""Seconds for which rows that are done have to stay at least: the minute of the bounds."""


@dataclass(frozen=True, slots=True)
class Subscribable:
    """A vehicle that may be subscribed to with its password."""

    key: int
    vehicle_id: str
    password: bytes = field(repr=False)
    password_key_id: str


@dataclass(frozen=True, slots=True)
class KeptSubscription:
    """Where notifications of a vehicle are pushed to."""

    app_id: str
    push_type: str
    key_type: str
    key: str = field(repr=False)
    updated_at: datetime
    is_confirmed: bool
    """Whether notifications go there: a mail address is asked first."""


@dataclass(frozen=True, slots=True)
class Push:
    """A notification on its way to one subscription."""

    id: int
    vehicle: int
    vehicle_id: str
    """As its owner spells it."""
    app_id: str
    key_type: str
    key: str = field(repr=False)
    message: bytes
    """One byte of type, then the text."""
    created_at: datetime
    attempts: int
    """This one among them."""
    count: int = 1
    """Of equal notifications, as which it counts."""
    omitted: int = 0
    """Notifications before it that found no place in the outbox."""
    failures: int = 0
    """Of its endpoint, one after the other, before this attempt."""
    others: tuple["Push", ...] = ()
    """Pushes of the same subscription that go out in the same mail."""

    @property
    def kind(self) -> str:
        """The type of the notification: I, A, E or U of the manual, and `?` where a car sends none that can be shown."""
        return chr(self.message[0]) if 0x20 < self.message[0] < 0x7F else "?"

    @property
    def text(self) -> str:
        """Text to show. Lines end in LF, where a module sends CR: on the wire LF would end the message."""
        text = self.message[1:].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        if self.count > 1:
            text += f" ({self.count} times)"
        if self.omitted:
            text += f"\n({self.omitted} more in the history)"
        return "\n".join((text, *(other.text for other in self.others)))


_wanted: Final = vehicles.alias("wanted")
_mine: Final = vehicles.alias("mine")
_FIND: Final = Query(
    Subscribable,
    select(_wanted.c.id.label("key"), _wanted.c.vehicle_id, _wanted.c.password, _wanted.c.password_key_id)
    .join_from(_wanted, _mine, _mine.c.owner_id == _wanted.c.owner_id)
    .where(_mine.c.id == param("connected"), func.upper(_wanted.c.vehicle_id) == param("folded_id")),
)

_IS_OF_VEHICLE: Final = push_subscriptions.c.vehicle == param("vehicle")
_IS_ONE: Final = and_(_IS_OF_VEHICLE, push_subscriptions.c.app_id == param("app_id"))

_subscribing: Final = upsert(push_subscriptions).from_select(
    ["vehicle", "app_id", "push_type", "key_type", "key", "endpoint"],
    select(vehicles.c.id, *(param(name) for name in ("app_id", "push_type", "key_type", "key", "endpoint"))).where(
        vehicles.c.id == param("vehicle")
    ),
)
_is_same_endpoint: Final = push_subscriptions.c.endpoint == _subscribing.excluded.endpoint
_SUBSCRIBE: Final = Statement(
    _subscribing.on_conflict_do_update(
        index_elements=["vehicle", "app_id"],
        set_={
            **{name: _subscribing.excluded[name] for name in ("push_type", "key_type", "key", "endpoint")},
            "updated_at": func.now(),
            "failures": case((_is_same_endpoint, push_subscriptions.c.failures), else_=0),
            "paused_until": case((_is_same_endpoint, push_subscriptions.c.paused_until), else_=func.now()),
        },
    )
)

_MAKE_ROOM: Final = Statement(
    delete(push_subscriptions).where(
        _IS_OF_VEHICLE,
        push_subscriptions.c.app_id.in_(
            select(push_subscriptions.c.app_id)
            .where(_IS_OF_VEHICLE)
            .order_by(push_subscriptions.c.updated_at.desc(), push_subscriptions.c.app_id)
            .offset(MOST_SUBSCRIPTIONS)
        ),
    )
)

_UNSUBSCRIBE: Final = Statement(delete(push_subscriptions).where(_IS_ONE))

# A device that has registered anew since then has another key.
_UNSUBSCRIBE_GONE: Final = Statement(delete(push_subscriptions).where(_IS_ONE, push_subscriptions.c.key == param("key")))

_IS_CONFIRMED: Final = exists().where(
    vehicles.c.id == push_subscriptions.c.vehicle,
    mail_addresses.c.owner_id == vehicles.c.owner_id,
    mail_addresses.c.address == push_subscriptions.c.endpoint,
    mail_addresses.c.confirmed_at.is_not(None),
)
_LIST: Final = Query(
    KeptSubscription,
    select(
        *columns(push_subscriptions, "app_id", "push_type", "key_type", "key", "updated_at"),
        or_(push_subscriptions.c.push_type != MAIL, _IS_CONFIRMED).label("is_confirmed"),
    )
    .where(_IS_OF_VEHICLE)
    .order_by(push_subscriptions.c.app_id.collate("C")),
)

# The takes of all replicas follow each other: each counts what the ones before have taken. A statement of its own, since the
# next one sees what was committed before it began.
_LOCK: Final = Statement(select(func.pg_advisory_xact_lock(6871, func.hashtext(param("push_type")))))

_released: Final = (
    func.unnest(cast(param("ids"), ARRAY(BigInteger)), cast(param("attempts"), ARRAY(Integer)))
    .table_valued("id", "attempts")
    .render_derived("released")
)
# A replica that has taken the row since then has counted another attempt.
_RELEASE: Final = Statement(
    update(push_outbox)
    .values(taken_until=null())
    .where(push_outbox.c.id == _released.c.id, push_outbox.c.attempts == _released.c.attempts)
)

_failed: Final = push_subscriptions.alias("failed")
_theirs: Final = vehicles.alias("theirs")
_PAUSE: Final = Statement(
    update(push_subscriptions)
    .values(failures=param("failures"), paused_until=func.now() + param("seconds") * SECOND)
    .where(
        _failed.c.vehicle == param("vehicle"),
        _failed.c.app_id == param("app_id"),
        _mine.c.id == _failed.c.vehicle,
        _theirs.c.owner_id == _mine.c.owner_id,
        push_subscriptions.c.vehicle == _theirs.c.id,
        tuple_(push_subscriptions.c.push_type, push_subscriptions.c.endpoint)
        == tuple_(_failed.c.push_type, _failed.c.endpoint),
    )
)

_REMOVE: Final = Statement(
    update(push_outbox).values(done_at=func.now(), taken_until=null()).where(push_outbox.c.id == any_(param("ids")))
)

_REMOVE_DONE: Final = Statement(delete(push_outbox).where(push_outbox.c.done_at < func.now() - param("seconds") * SECOND))

_removed: Final = (
    delete(push_outbox)
    .where(
        tuple_(push_subscriptions.c.vehicle, push_subscriptions.c.app_id)
        == tuple_(push_outbox.c.vehicle, push_outbox.c.app_id),
        push_subscriptions.c.push_type != all_(param("push_types")),
    )
    .returning(push_subscriptions.c.push_type)
    .cte("removed")
)
_REMOVE_OTHERS: Final = Statement(select(_removed.c.push_type, func.count()).group_by(_removed.c.push_type))


async def find_subscribable(pool: Pool, connected: int, folded_id: str) -> Subscribable | None:
    """A vehicle by its upper-cased id, if it has the owner of the vehicle that a peer is connected to."""
    return await _FIND.find(pool, connected=connected, folded_id=folded_id)


async def subscribe(pool: Pool, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """Add or renew a subscription; return how many others had to make room for it."""
    async with pool.acquire() as connection, connection.transaction():
        return await subscribe_in(connection, vehicle, app_id, push_type=push_type, key_type=key_type, key=key)


async def subscribe_in(connection: Connection, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """The same inside the transaction of a connection."""
    await _SUBSCRIBE.execute(
        connection,
        vehicle=vehicle,
        app_id=app_id,
        push_type=push_type,
        key_type=key_type,
        key=key,
        endpoint=endpoint_of(push_type, key),
    )
    if push_type == MAIL:
        await want_address(connection, vehicle, key)
    return await _MAKE_ROOM.execute(connection, vehicle=vehicle)


async def list_subscriptions(db: Database, vehicle: int) -> list[KeptSubscription]:
    """The subscriptions of a vehicle, by the ids of their apps."""
    return await _LIST.find_all(db, vehicle=vehicle)


async def end_subscription(connection: Connection, vehicle: int, app_id: str) -> bool:
    """Push nothing of a vehicle to an app any more, nor what waits to be; whether something was."""
    return await _UNSUBSCRIBE.execute(connection, vehicle=vehicle, app_id=app_id) > 0


async def unsubscribe(pool: Pool, vehicle: int, app_id: str) -> None:
    """Push nothing of a vehicle to an app any more."""
    await _UNSUBSCRIBE.execute(pool, vehicle=vehicle, app_id=app_id)


async def unsubscribe_gone(pool: Pool, push: Push) -> None:
    """Push nothing more to a device that is no more."""
    await _UNSUBSCRIBE_GONE.execute(pool, vehicle=push.vehicle, app_id=push.app_id, key=push.key)


async def take_due(pool: Pool, push_type: str, *, most: int, lease: float, per_minute: int) -> list[Push]:
    """Take what is due and within the bounds; no other replica takes it for `lease` seconds.

    Args:
        per_minute: the most that one subscription gets in a minute.
    """
    bounds = (per_minute, MOST_OF_ENDPOINT_AT_ONCE, MOST_OF_ENDPOINT, MOST_OF_OWNER_AT_ONCE, MOST_MAILS)
    async with pool.acquire() as connection, connection.transaction():
        await _LOCK.execute(connection, push_type=push_type)
        taken = [Push(*row) for row in await connection.fetch(_TAKE, push_type, most, lease, *bounds)]
    return _combine(taken) if push_type == MAIL else taken


def _combine(pushes: Sequence[Push]) -> list[Push]:
    """Make one mail of all that was taken for a subscription."""
    by_subscription: dict[tuple[int, str], list[Push]] = {}
    for push in pushes:
        by_subscription.setdefault((push.vehicle, push.app_id), []).append(push)
    return [replace(first, others=tuple(others)) for first, *others in by_subscription.values()]


async def pause(pool: Pool, push: Push, *, failures: int, seconds: float) -> None:
    """Send nothing more of its owner to the endpoint of a push for a while; 0 failures and seconds: it works again."""
    await _PAUSE.execute(pool, vehicle=push.vehicle, app_id=push.app_id, failures=failures, seconds=seconds)


async def release(pool: Pool, push: Push) -> None:
    """Let any replica take a push again, unless one has done so since."""
    pushes = (push, *push.others)
    await _RELEASE.execute(pool, ids=[one.id for one in pushes], attempts=[one.attempts for one in pushes])


async def remove(pool: Pool, push: Push) -> None:
    """Take a push that is delivered, or given up, off the queue."""
    await _REMOVE.execute(pool, ids=[one.id for one in (push, *push.others)])


async def remove_done(pool: Pool, seconds: float) -> None:
    """Delete the pushes that were done more than so many seconds ago."""
    await _REMOVE_DONE.execute(pool, seconds=seconds)


async def remove_others(pool: Pool, push_types: Sequence[str]) -> dict[str, int]:
    """Give up what is of none of these types; return how many there were, by type."""
    return {row[0]: row[1] for row in await _REMOVE_OTHERS.fetch(pool, push_types=push_types)}
