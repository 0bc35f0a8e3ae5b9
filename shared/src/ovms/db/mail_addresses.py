"""Mail addresses of owners. Nothing but one mail, to confirm it by, goes to an address that is not confirmed.

An address that an operator or an import gives an owner is confirmed. Any other is confirmed by the code of that mail, of which
the database has the SHA-256.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from ovms.db.engine import Connection, Pool

LIFETIME: Final = 7 * 86_400.0
"""Seconds for which a code confirms."""
ASK_AGAIN: Final = 86_400.0
"""Seconds after which a subscription that is renewed has another mail sent to an address that is not confirmed."""
MOST_ASKED: Final = 3
"""Mails to confirm an address by that an owner can cause, before the address is forgotten."""
KEPT: Final = 30 * 86_400.0
"""Seconds after the last of these mails for which an address is kept that is not confirmed and has no subscription left."""
MOST_ASKED_OF_OWNER: Final = 10
"""Addresses in a day that an owner has such mails sent to."""
MOST_ASKED_OF_ADDRESS: Final = 3
"""Such mails in a day to one address, of all owners."""
MOST_OF_OWNER: Final = 500
"""Addresses that an owner may have; more are never confirmed."""

_CONFIRM: Final = """
INSERT INTO mail_addresses AS kept (owner_id, address, confirmed_at) SELECT $1, lower($2), now() WHERE $2 <> ''
ON CONFLICT (owner_id, address) DO UPDATE
SET confirmed_at = coalesce(kept.confirmed_at, excluded.confirmed_at), is_wanted = false, code = NULL
"""

_WANT: Final = """
INSERT INTO mail_addresses AS kept (owner_id, address, is_wanted) SELECT owner_id, lower($2), true FROM vehicles
WHERE id = $1 AND (SELECT count(*) FROM mail_addresses AS others WHERE others.owner_id = vehicles.owner_id) < $3
ON CONFLICT (owner_id, address) DO UPDATE SET is_wanted = true
WHERE kept.confirmed_at IS NULL AND kept.code_mails < $4 AND kept.code_sent_at < now() - $5 * interval '1 second'
"""

_NEXT: Final = """
SELECT owner_id, address FROM mail_addresses AS due
WHERE is_wanted AND confirmed_at IS NULL
  AND EXISTS (SELECT FROM push_subscriptions JOIN vehicles ON vehicles.id = vehicle
    WHERE vehicles.owner_id = due.owner_id AND push_type = 'mail' AND endpoint = due.address)
  AND (SELECT count(*) FROM mail_addresses AS others
    WHERE others.owner_id = due.owner_id AND others.code_sent_at > now() - interval '1 day') < $1
  AND (SELECT count(*) FROM mail_addresses AS others
    WHERE others.address = due.address AND others.code_sent_at > now() - interval '1 day') < $2
LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_ASK: Final = """
UPDATE mail_addresses SET is_wanted = false, code = $3, code_sent_at = now(), code_mails = code_mails + 1
WHERE owner_id = $1 AND address = $2
"""

_ASK_LATER: Final = """
UPDATE mail_addresses SET is_wanted = true, code = NULL, code_sent_at = NULL, code_mails = code_mails - 1
WHERE owner_id = $1 AND address = $2 AND confirmed_at IS NULL AND NOT is_wanted
"""

_USE_CODE: Final = """
UPDATE mail_addresses SET confirmed_at = now(), is_wanted = false, code = NULL
WHERE code = $1 AND confirmed_at IS NULL AND code_sent_at > now() - $2 * interval '1 second'
RETURNING address
"""

_END: Final = """
DELETE FROM mail_addresses WHERE confirmed_at IS NULL AND (owner_id, address) IN (
  SELECT owner_id, address FROM mail_addresses AS ended
  WHERE confirmed_at IS NULL AND coalesce(code_sent_at < now() - $1 * interval '1 second', true)
    AND NOT EXISTS (SELECT FROM push_subscriptions JOIN vehicles ON vehicles.id = vehicle
      WHERE vehicles.owner_id = ended.owner_id AND push_type = 'mail' AND endpoint = ended.address)
  LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An address that a mail to confirm it by goes to."""

    owner: int
    address: str = field(repr=False)


async def confirm_address(connection: Connection, owner: int, address: str) -> None:
    """Take an address for its owner's: an operator says so, or the reference did."""
    await connection.execute(_CONFIRM, owner, address)


async def want_address(connection: Connection, vehicle: int, address: str) -> None:
    """Have an address asked, unless it is confirmed or was asked a short time ago."""
    await connection.execute(_WANT, vehicle, address, MOST_OF_OWNER, MOST_ASKED, ASK_AGAIN)


async def take_unconfirmed(pool: Pool, code: str) -> Unconfirmed | None:
    """Take an address that a mail is due to, and give it a code; None where there is none."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_NEXT, MOST_ASKED_OF_OWNER, MOST_ASKED_OF_ADDRESS)
        if row is None:
            return None
        await connection.execute(_ASK, *row, _fingerprint(code))
        return Unconfirmed(*row)


async def ask_later(pool: Pool, asked: Unconfirmed) -> None:
    """Have a mail sent that could not be sent."""
    await pool.execute(_ASK_LATER, asked.owner, asked.address)


async def use_code(pool: Pool, code: str) -> str | None:
    """Confirm the address of a code; return it, or None where the code is unknown, used or too old."""
    address: str | None = await pool.fetchval(_USE_CODE, _fingerprint(code), LIFETIME)
    return address


async def end_unconfirmed(connection: Connection, *, limit: int) -> int:
    """Delete addresses that nobody has confirmed and no subscription names any longer; return how many."""
    status = await connection.execute(_END, KEPT, limit)
    return int(status.removeprefix("DELETE "))


def _fingerprint(code: str) -> bytes:
    return sha256(code.encode("utf-8", "replace")).digest()
