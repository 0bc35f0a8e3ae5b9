"""The statements that write what cars send, thousands of rows each.

What is hot, states and history, is copied into a table of the connection's own, and goes on from there in the same
transaction: asyncpg makes a row for COPY at a quarter of what it takes to make one of arrays (docs/decisions/0013). All else
comes as one array a column, in one round trip.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from ovms.db.engine import Connection, Database, Pool

_INCOMING_STATES: Final = (
    "incoming_states",
    "vehicle bigint, code text, data bytea, received_at float8, epoch bigint, number bigint, paranoid_token text",
)
_INCOMING_STATE_HISTORY: Final = ("incoming_state_history", "vehicle bigint, code text, data bytea")
_INCOMING_HISTORY: Final = (
    "incoming_history",
    "vehicle bigint, record_type text, record_number bigint, recorded_at float8, data bytea, expires_at float8, ack_code text",
)

# The newest session wins, within one session the newest message. The second half matters where a statement was given up
# here (a time-out) but not there: what it still writes must not replace what was written since.
_STATES: Final = """
INSERT INTO messages AS kept (vehicle, code, data, received_at, epoch, number, paranoid, paranoid_token)
SELECT vehicle, code, data, to_timestamp(received_at), epoch, number,
  paranoid_token IS NOT NULL, coalesce(paranoid_token, '')
FROM pg_temp.incoming_states AS new
ON CONFLICT (vehicle, code) DO UPDATE
SET data = excluded.data, received_at = excluded.received_at, epoch = excluded.epoch, number = excluded.number,
    paranoid = excluded.paranoid, paranoid_token = excluded.paranoid_token, valid = true
WHERE (kept.epoch, kept.number) <= (excluded.epoch, excluded.number)
"""

_NOT_ALL: Final = "not all were written"

_REFUSING_SESSIONS: Final = """
SELECT vehicle, max(kept.epoch) FROM messages AS kept
JOIN unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS new(vehicle, code, epoch, number) USING (vehicle, code)
WHERE (kept.epoch, kept.number) > (new.epoch, new.number) GROUP BY vehicle
"""

# What was sealed with another key can be opened by no app any more (manual, message 0x45). Where a later session has sealed
# with another, elsewhere, this key's name comes too late.
_TOKENS: Final = """
WITH new AS (
  SELECT vehicle, token FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS new(vehicle, token, epoch)
  WHERE NOT EXISTS (
    SELECT FROM messages AS kept
    WHERE kept.vehicle = new.vehicle AND kept.epoch > new.epoch AND kept.paranoid AND kept.paranoid_token <> token)),
  named AS (UPDATE vehicles SET paranoid_token = token FROM new WHERE id = vehicle AND paranoid_token <> token)
UPDATE messages SET valid = false FROM new
WHERE messages.vehicle = new.vehicle AND paranoid AND messages.paranoid_token <> token
"""

# A module sends a record that is not acknowledged again after 10 s with a recomputed time difference, so a repetition may be a
# second off; its acknowledgement code and data are equal. A record without acknowledgement is written again only by this
# server, with the same time. Every other record is a row of its own: where its second is taken it lies a microsecond after the
# last one of that second (docs/decisions/0006). The subqueries are no joins, since the planner knows nothing of a temporary
# table; the first is bounded, since a car may send any number of records with one time.
_HISTORY: Final = """
INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at, ack_code)
SELECT vehicle, record_type, record_number,
  coalesce(last + interval '1 microsecond', to_timestamp(recorded_at)) + place * interval '1 microsecond',
  data, to_timestamp(expires_at), ack_code
FROM (
  SELECT new.*,
    row_number() OVER (PARTITION BY vehicle, record_type, record_number, recorded_at ORDER BY new.ctid) - 1 AS place,
    EXISTS (
      SELECT FROM (
        SELECT record_number, ack_code, data FROM history AS kept
        WHERE kept.vehicle = new.vehicle AND kept.record_type = new.record_type
          AND kept.recorded_at >= to_timestamp(new.recorded_at - CASE WHEN new.ack_code IS NULL THEN 0 ELSE 60 END)
          AND kept.recorded_at < to_timestamp(new.recorded_at + CASE WHEN new.ack_code IS NULL THEN 1 ELSE 61 END)
        ORDER BY kept.recorded_at DESC, kept.record_number DESC LIMIT {compared}) AS near
      WHERE near.record_number = new.record_number AND near.ack_code IS NOT DISTINCT FROM new.ack_code
        AND near.data = new.data) AS is_kept,
    (SELECT kept.recorded_at FROM history AS kept
      WHERE kept.vehicle = new.vehicle AND kept.record_type = new.record_type AND kept.record_number = new.record_number
        AND kept.recorded_at >= to_timestamp(new.recorded_at) AND kept.recorded_at < to_timestamp(new.recorded_at + 1)
      ORDER BY kept.recorded_at DESC LIMIT 1) AS last
  FROM pg_temp.incoming_history AS new
  WHERE EXISTS (SELECT FROM vehicles WHERE vehicles.id = new.vehicle)) AS fresh
WHERE NOT is_kept
"""

COMPARED: Final = 1000
"""Records of a type, near the time of a new one, among which its repetition is looked for."""

# Two replicas may write for one vehicle at once: a record that one held back while PostgreSQL was unavailable may have been
# repeated to the other, and different records may want the same place. The lock is a statement of its own, since a statement
# sees what was committed before it began. Always in the same order; the first key says whose locks they are, the second which.
_LOCK_HISTORY: Final = "SELECT pg_advisory_xact_lock(6867, lock) FROM unnest(ARRAY{locks}::int[]) AS lock"

HISTORY_LOCKS: Final = 256
"""Vehicles share them: a batch has thousands of vehicles, and PostgreSQL's table of locks a few thousand places."""

# One statement, so that a notification is in the history exactly when it is in the outbox. One that is in the history already
# is a statement's that was given up here but not there: it is pushed already. One that equals a row that no replica has taken
# is counted there; one that was pushed a moment ago waits for a while, to be counted. What may wait is bounded, and so is what
# is pushed of a text: no service takes more.
_NOTIFICATIONS: Final = """
WITH new AS (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bytea[], $5::float8[], $6::boolean[])
    WITH ORDINALITY AS new(vehicle, record_number, notified_at, message, expires_at, pushed, number)
  WHERE EXISTS (SELECT FROM vehicles WHERE vehicles.id = new.vehicle)),
kept AS (
  INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at)
  SELECT vehicle, '*-Log-Notification', record_number, to_timestamp(notified_at),
    substring(message FROM 1 FOR 1) || ','::bytea || substring(message FROM 2), to_timestamp(expires_at)
  FROM new WHERE expires_at IS NOT NULL
  ON CONFLICT DO NOTHING
  RETURNING vehicle, record_number, recorded_at),
fresh AS (
  SELECT vehicle, notified_at, message, number FROM new WHERE pushed AND expires_at IS NULL
  UNION ALL
  SELECT vehicle, notified_at, message, number FROM new JOIN kept USING (vehicle, record_number)
  WHERE pushed AND recorded_at = to_timestamp(notified_at)),
told AS (
  SELECT vehicle, substring(message FROM 1 FOR 4096) AS message, min(notified_at) AS notified_at, min(number) AS number,
    count(*), substring(message FROM 1 FOR 1) NOT IN ('A', 'E') AS is_info
  FROM fresh GROUP BY 1, 2, is_info),
wanted AS MATERIALIZED (
  SELECT told.*, app_id FROM told JOIN push_subscriptions AS subscribed USING (vehicle)
  WHERE push_type <> 'mail' OR EXISTS (
    SELECT FROM vehicles JOIN mail_addresses USING (owner_id)
    WHERE vehicles.id = subscribed.vehicle AND address = endpoint AND confirmed_at IS NOT NULL)
  FOR KEY SHARE OF subscribed),
merged AS (
  UPDATE push_outbox AS kept SET count = kept.count + wanted.count FROM wanted
  WHERE (kept.vehicle, kept.app_id, kept.message) = (wanted.vehicle, wanted.app_id, wanted.message)
    AND kept.done_at IS NULL AND kept.taken_until IS NULL AND kept.attempts = 0
  RETURNING wanted.vehicle, wanted.app_id, wanted.message),
waiting AS MATERIALIZED (
  SELECT vehicle, app_id, count(rows.id) FROM (SELECT DISTINCT vehicle, app_id FROM wanted) AS subscriptions
  LEFT JOIN push_outbox AS rows USING (vehicle, app_id) WHERE done_at IS NULL GROUP BY 1, 2),
of_owner AS MATERIALIZED (
  SELECT sender.vehicle, (
    SELECT count(*) FROM vehicles AS mine JOIN vehicles AS theirs USING (owner_id)
    JOIN push_outbox AS rows ON rows.vehicle = theirs.id WHERE mine.id = sender.vehicle AND done_at IS NULL)
  FROM (SELECT DISTINCT vehicle FROM wanted) AS sender),
due AS (
  SELECT wanted.*,
    row_number() OVER (PARTITION BY vehicle, app_id ORDER BY is_info, number) + coalesce(waiting.count, 0)
      <= CASE WHEN is_info THEN $8::bigint ELSE $7::bigint END AS fits
  FROM wanted LEFT JOIN waiting USING (vehicle, app_id)
  WHERE NOT EXISTS (
    SELECT FROM merged
    WHERE (merged.vehicle, merged.app_id, merged.message) = (wanted.vehicle, wanted.app_id, wanted.message))),
placed AS (
  SELECT due.*, fits AND of_owner.count
    + row_number() OVER (PARTITION BY vehicle, fits ORDER BY is_info, number) <= $9::bigint AS has_place
  FROM due JOIN of_owner USING (vehicle)),
omitted AS (
  UPDATE push_subscriptions AS kept SET omitted = kept.omitted + lost.count
  FROM (SELECT vehicle, app_id, sum(count) AS count FROM placed WHERE NOT has_place GROUP BY 1, 2) AS lost
  WHERE (kept.vehicle, kept.app_id) = (lost.vehicle, lost.app_id))
INSERT INTO push_outbox (vehicle, app_id, message, created_at, count, due_at)
SELECT vehicle, app_id, message, to_timestamp(notified_at), count, coalesce((
  SELECT max(coalesce(done_at, now())) FROM push_outbox AS former
  WHERE (former.vehicle, former.app_id, former.message) = (placed.vehicle, placed.app_id, placed.message)
  ) + $10::float8 * interval '1 second', now())
FROM placed WHERE has_place ORDER BY number
"""

MOST_WAITING: Final = 20
"""Pushes that may wait for one subscription; what finds no place is in the history only, and counted."""
MOST_INFOS_WAITING: Final = 10
"""Of which are neither alerts nor errors."""
MOST_WAITING_OF_OWNER: Final = 2000
"""Pushes that may wait for all subscriptions of an owner."""


_STATE_HISTORY: Final = """
INSERT INTO state_history (vehicle, code, recorded_at, data)
SELECT vehicle, code, to_timestamp({second}), data FROM pg_temp.incoming_state_history AS new
WHERE EXISTS (SELECT FROM vehicles WHERE vehicles.id = new.vehicle)
"""

# A message of the same second may have come through another replica, or with a batch whose commit was not confirmed. It is
# rare, and looking for such rows takes 2 us of the 7 us that PostgreSQL needs for a row: so only a batch that has one looks.
_REPLACE_STATE_HISTORY: Final = f"{_STATE_HISTORY} ON CONFLICT (vehicle, code, recorded_at) DO UPDATE SET data = excluded.data"

# Two replicas may have the same car for a moment: what came at one time is one sample.
_SAMPLES: Final = """
INSERT INTO samples (vehicle, code, recorded_at, data, expires_at, units)
SELECT vehicle, code, to_timestamp(recorded_at), data, to_timestamp(expires_at), units
FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::bytea[], $5::float8[], $6::text[])
  AS new(vehicle, code, recorded_at, data, expires_at, units)
WHERE EXISTS (SELECT FROM vehicles WHERE vehicles.id = new.vehicle)
ON CONFLICT DO NOTHING
"""


class StateRow(NamedTuple):
    """The newest message of a vehicle and code. Times are Unix times."""

    vehicle: int
    code: str
    data: bytes
    received_at: float
    epoch: int
    """The car's session."""
    number: int
    """That of the message in its session; with the session it is the version of the state."""
    paranoid_token: str | None
    """The name of the key that the data is sealed with; None: it is not sealed."""


StateValues: TypeAlias = tuple[int, str, bytes, float, int, int, str | None]
"""The values of a `StateRow`. One is made of every message, and to make it a named one costs five times as much."""


StateHistoryValues: TypeAlias = tuple[int, str, bytes]
"""A vehicle, a code, and the data of its last message of some second."""


class TokenRow(NamedTuple):
    """The name of a vehicle's key of paranoid mode, as a session has named it."""

    vehicle: int
    token: str
    epoch: int


class HistoryRow(NamedTuple):
    """One history record. Times are Unix times in whole seconds."""

    vehicle: int
    record_type: str
    record_number: int
    recorded_at: int
    data: bytes
    expires_at: int
    ack_code: str | None


HistoryValues: TypeAlias = tuple[int, str, int, int, bytes, int, str | None]
"""The values of a `HistoryRow`."""


class SampleRow(NamedTuple):
    """A state that is kept beside the newest one. Times are Unix times."""

    vehicle: int
    code: str
    recorded_at: float
    data: bytes
    expires_at: float
    units: str | None = None
    """`K` or `M`: what the car measured in at that time; None: the car had not sent it."""


class NotificationRow(NamedTuple):
    """A notification: for the history, and for the outbox once a subscription. Times are Unix times in whole seconds."""

    vehicle: int
    record_number: int
    notified_at: int
    message: bytes
    """One byte of type, then the text."""
    expires_at: int | None
    """None: it is not kept in the history."""
    is_pushed: bool


async def write_states(pool: Pool, rows: Sequence[StateValues]) -> bool:
    """Write newest messages, at most one a (vehicle, code), all or none; whether all were newer than what was there."""
    notices: list[str] = []

    def noticed(_: object, notice: asyncpg.PostgresLogMessage) -> None:
        notices.append(notice.message)

    async with pool.acquire() as connection:
        connection.add_log_listener(noticed)
        try:
            await _copy(connection, _INCOMING_STATES, rows, _counted(_STATES, len(rows)))
        finally:
            connection.remove_log_listener(noticed)
    return _NOT_ALL not in notices


def _counted(statement: str, rows: int) -> str:
    """A statement that says so, in a notice, where it writes fewer rows: asyncpg tells the count of a last statement alone."""
    return f"""
DO $$ DECLARE written bigint; BEGIN {statement}; GET DIAGNOSTICS written = ROW_COUNT;
IF written < {rows} THEN RAISE NOTICE '{_NOT_ALL}'; END IF; END $$"""


async def write_state_history(pool: Pool, second: int, rows: Sequence[StateHistoryValues]) -> None:
    """Write the last messages of a second, at most one a (vehicle, code), all or none.

    Args:
        second: Unix time.
    """
    async with pool.acquire() as connection:
        try:
            await _copy(connection, _INCOMING_STATE_HISTORY, rows, _STATE_HISTORY.format(second=int(second)))
        except asyncpg.UniqueViolationError:
            await _copy(connection, _INCOMING_STATE_HISTORY, rows, _REPLACE_STATE_HISTORY.format(second=int(second)))


async def refusing_sessions(pool: Pool, rows: Sequence[StateValues]) -> dict[int, int]:
    """Return the newest session of each vehicle whose states keep some of these from being written.

    It may have the number of the row's own session, where two replicas have given it: each numbers the messages by itself.
    """
    vehicles, codes, _, _, epochs, numbers, _ = zip(*rows, strict=True)
    found = await pool.fetch(_REFUSING_SESSIONS, vehicles, codes, epochs, numbers)
    return {row["vehicle"]: row["max"] for row in found}


async def write_tokens(pool: Pool, rows: Sequence[TokenRow]) -> None:
    """Name keys of paranoid mode, at most one a vehicle, all or none; what was sealed with others is valid no more."""
    await pool.execute(_TOKENS, *zip(*rows, strict=True))


async def write_history(pool: Pool, rows: Sequence[HistoryValues]) -> None:
    """Write history records, all or none; repetitions of records that are there are left out."""
    locks = sorted({row[0] % HISTORY_LOCKS for row in rows})
    async with pool.acquire() as connection:
        statement = _HISTORY.format(compared=COMPARED)
        await _copy(connection, _INCOMING_HISTORY, rows, statement, first=_LOCK_HISTORY.format(locks=locks))


async def write_samples(pool: Pool, rows: Sequence[SampleRow]) -> None:
    """Write samples, all or none; one that is there already stays."""
    await pool.execute(_SAMPLES, *zip(*rows, strict=True))


async def write_notifications(pool: Database, rows: Sequence[NotificationRow], *, repeat_after: float) -> int:
    """Write notifications, all or none; return how many pushes have been added.

    Args:
        repeat_after: seconds in which one subscription gets equal notifications once.
    """
    bounds = (MOST_WAITING, MOST_INFOS_WAITING, MOST_WAITING_OF_OWNER)
    status = await pool.execute(_NOTIFICATIONS, *zip(*rows, strict=True), *bounds, repeat_after)
    return int(status.removeprefix("INSERT 0 "))


async def _copy(
    connection: Connection, incoming: tuple[str, str], rows: Sequence[tuple[object, ...]], statement: str, *, first: str = ""
) -> None:
    """Copy rows into a table of the connection's own, which ends up empty, and go on from there, in one transaction.

    It takes three round trips: a program that has much else to do is slow to begin the next.
    """
    table, columns = incoming
    # Made where it is not there yet: whoever pools connections between this and PostgreSQL may give one that never had it.
    make = f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({columns}) ON COMMIT DELETE ROWS"
    try:
        await connection.execute(f"BEGIN; {make}; {first}")
        await connection.copy_records_to_table(table, schema_name="pg_temp", records=rows)
        await connection.execute(f"{statement}; COMMIT")
    except BaseException:
        await _roll_back(connection)
        raise


async def _roll_back(connection: Connection) -> None:
    """End a transaction that has failed; where that fails too, the connection."""
    try:
        await connection.execute("ROLLBACK")
    except Exception:  # noqa: BLE001 (what is to be raised is why it is rolled back)
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
