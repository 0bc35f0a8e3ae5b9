"""Who gets notifications pushed, and the outbox of those that wait to be (docs/decisions/0007).

A row of the outbox is taken for a while, so that no other replica takes it meanwhile, and another one does if this one dies
with it. Rows that are done stay for some minutes. What has left in the last minute, and what is on its way, bound the next
take by subscription, by endpoint and owner, and by owner, all replicas together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ovms.db.engine import Connection, Database, Pool
from ovms.db.mail_addresses import want_address
from ovms.subscriptions import MAIL, endpoint_of

MOST_SUBSCRIPTIONS: Final = 64
"""Of one vehicle; the one that was renewed longest ago makes room."""

_FIND: Final = """
SELECT wanted.id, wanted.vehicle_id, wanted.password, wanted.password_key_id
FROM vehicles AS wanted JOIN vehicles AS mine ON mine.owner_id = wanted.owner_id
WHERE mine.id = $1 AND upper(wanted.vehicle_id) = $2
"""

_SUBSCRIBE: Final = """
INSERT INTO push_subscriptions AS kept (vehicle, app_id, push_type, key_type, key, endpoint)
SELECT id, $2, $3, $4, $5, $6 FROM vehicles WHERE id = $1
ON CONFLICT (vehicle, app_id) DO UPDATE
SET push_type = excluded.push_type, key_type = excluded.key_type, key = excluded.key, endpoint = excluded.endpoint,
    updated_at = now(),
    failures = CASE WHEN kept.endpoint = excluded.endpoint THEN kept.failures ELSE 0 END,
    paused_until = CASE WHEN kept.endpoint = excluded.endpoint THEN kept.paused_until ELSE now() END
"""

_MAKE_ROOM: Final = """
DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id IN (
  SELECT app_id FROM push_subscriptions WHERE vehicle = $1 ORDER BY updated_at DESC, app_id OFFSET $2)
"""

_UNSUBSCRIBE: Final = "DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id = $2"

_LIST: Final = """
SELECT app_id, push_type, key_type, key, updated_at, push_type <> 'mail' OR EXISTS (
  SELECT FROM vehicles JOIN mail_addresses USING (owner_id)
  WHERE vehicles.id = vehicle AND address = endpoint AND confirmed_at IS NOT NULL)
FROM push_subscriptions WHERE vehicle = $1 ORDER BY app_id COLLATE "C"
"""

# A device that has registered anew since then has another key.
_UNSUBSCRIBE_GONE: Final = "DELETE FROM push_subscriptions WHERE vehicle = $1 AND app_id = $2 AND key = $3"

# The takes of all replicas follow each other: each counts what the ones before have taken. A statement of its own, since the
# next one sees what was committed before it began.
_LOCK: Final = "SELECT pg_advisory_xact_lock(6871, hashtext($1))"

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

# A replica that has taken the row since then has counted another attempt.
_RELEASE: Final = """
UPDATE push_outbox SET taken_until = NULL FROM unnest($1::bigint[], $2::int[]) AS released(id, attempts)
WHERE push_outbox.id = released.id AND push_outbox.attempts = released.attempts
"""

_PAUSE: Final = """
UPDATE push_subscriptions AS paused SET failures = $3, paused_until = now() + $4 * interval '1 second'
FROM push_subscriptions AS failed, vehicles AS mine, vehicles AS theirs
WHERE failed.vehicle = $1 AND failed.app_id = $2 AND mine.id = failed.vehicle AND theirs.owner_id = mine.owner_id
  AND paused.vehicle = theirs.id AND (paused.push_type, paused.endpoint) = (failed.push_type, failed.endpoint)
"""

_REMOVE: Final = "UPDATE push_outbox SET done_at = now(), taken_until = NULL WHERE id = ANY($1::bigint[])"

_REMOVE_DONE: Final = "DELETE FROM push_outbox WHERE done_at < now() - $1 * interval '1 second'"

_REMOVE_OTHERS: Final = """
WITH removed AS (
  DELETE FROM push_outbox USING push_subscriptions AS kept
  WHERE (kept.vehicle, kept.app_id) = (push_outbox.vehicle, push_outbox.app_id) AND push_type <> ALL($1::text[])
  RETURNING push_type)
SELECT push_type, count(*) FROM removed GROUP BY push_type
"""


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


async def find_subscribable(pool: Pool, connected: int, folded_id: str) -> Subscribable | None:
    """A vehicle by its upper-cased id, if it has the owner of the vehicle that a peer is connected to."""
    row = await pool.fetchrow(_FIND, connected, folded_id)
    return None if row is None else Subscribable(*row)


async def subscribe(pool: Pool, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """Add or renew a subscription; return how many others had to make room for it."""
    async with pool.acquire() as connection, connection.transaction():
        return await subscribe_in(connection, vehicle, app_id, push_type=push_type, key_type=key_type, key=key)


async def subscribe_in(connection: Connection, vehicle: int, app_id: str, *, push_type: str, key_type: str, key: str) -> int:
    """The same inside the transaction of a connection."""
    await connection.execute(_SUBSCRIBE, vehicle, app_id, push_type, key_type, key, endpoint_of(push_type, key))
    if push_type == MAIL:
        await want_address(connection, vehicle, key)
    status = await connection.execute(_MAKE_ROOM, vehicle, MOST_SUBSCRIPTIONS)
    return int(status.removeprefix("DELETE "))


async def list_subscriptions(db: Database, vehicle: int) -> list[KeptSubscription]:
    """The subscriptions of a vehicle, by the ids of their apps."""
    return [KeptSubscription(*row) for row in await db.fetch(_LIST, vehicle)]


async def end_subscription(connection: Connection, vehicle: int, app_id: str) -> bool:
    """Push nothing of a vehicle to an app any more, nor what waits to be; whether something was."""
    return await connection.execute(_UNSUBSCRIBE, vehicle, app_id) != "DELETE 0"


async def unsubscribe(pool: Pool, vehicle: int, app_id: str) -> None:
    """Push nothing of a vehicle to an app any more."""
    await pool.execute(_UNSUBSCRIBE, vehicle, app_id)


async def unsubscribe_gone(pool: Pool, push: Push) -> None:
    """Push nothing more to a device that is no more."""
    await pool.execute(_UNSUBSCRIBE_GONE, push.vehicle, push.app_id, push.key)


async def take_due(pool: Pool, push_type: str, *, most: int, lease: float, per_minute: int) -> list[Push]:
    """Take what is due and within the bounds; no other replica takes it for `lease` seconds.

    Args:
        per_minute: the most that one subscription gets in a minute.
    """
    bounds = (per_minute, MOST_OF_ENDPOINT_AT_ONCE, MOST_OF_ENDPOINT, MOST_OF_OWNER_AT_ONCE, MOST_MAILS)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK, push_type)
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
    await pool.execute(_PAUSE, push.vehicle, push.app_id, failures, seconds)


async def release(pool: Pool, push: Push) -> None:
    """Let any replica take a push again, unless one has done so since."""
    await pool.execute(_RELEASE, *zip(*((one.id, one.attempts) for one in (push, *push.others)), strict=True))


async def remove(pool: Pool, push: Push) -> None:
    """Take a push that is delivered, or given up, off the queue."""
    await pool.execute(_REMOVE, [one.id for one in (push, *push.others)])


async def remove_done(pool: Pool, seconds: float) -> None:
    """Delete the pushes that were done more than so many seconds ago."""
    await pool.execute(_REMOVE_DONE, seconds)


async def remove_others(pool: Pool, push_types: Sequence[str]) -> dict[str, int]:
    """Give up what is of none of these types; return how many there were, by type."""
    return {row[0]: row[1] for row in await pool.fetch(_REMOVE_OTHERS, push_types)}
