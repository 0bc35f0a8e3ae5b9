"""Mail addresses of owners. Nothing but one mail, to confirm it by, goes to an address that is not confirmed.

An address that an operator or an import gives an owner is confirmed. Any other is confirmed by the code of that mail, of which
the database has the SHA-256.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, not_, null, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql.selectable import FromClause

from ovms.db.engine import Connection, Pool
from ovms.db.statement import DAY, SECOND, Query, Statement, param
from ovms.db.tables import mail_addresses, push_subscriptions, vehicles
from ovms.subscriptions import MAIL

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


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An address that a mail to confirm it by goes to."""

    owner: int
    address: str = field(repr=False)


_IS_ADDRESS: Final = and_(mail_addresses.c.owner_id == param("owner"), mail_addresses.c.address == param("address"))


def _is_subscribed(address: FromClause) -> ColumnElement[bool]:
    return exists().where(
        vehicles.c.id == push_subscriptions.c.vehicle,
        vehicles.c.owner_id == address.c.owner_id,
        push_subscriptions.c.push_type == MAIL,
        push_subscriptions.c.endpoint == address.c.address,
    )


_confirming: Final = upsert(mail_addresses).from_select(
    ["owner_id", "address", "confirmed_at"],
    select(param("owner"), func.lower(param("address")), func.now()).where(param("address") != ""),
)
_CONFIRM: Final = Statement(
    _confirming.on_conflict_do_update(
        index_elements=["owner_id", "address"],
        set_={
            "confirmed_at": func.coalesce(mail_addresses.c.confirmed_at, _confirming.excluded.confirmed_at),
            "is_wanted": False,
            "code": null(),
        },
    )
)

_others: Final = mail_addresses.alias("others")

_WANT: Final = Statement(
    upsert(mail_addresses)
    .from_select(
        ["owner_id", "address", "is_wanted"],
        select(vehicles.c.owner_id, func.lower(param("address")), true()).where(
            vehicles.c.id == param("vehicle"),
            select(func.count()).where(_others.c.owner_id == vehicles.c.owner_id).scalar_subquery() < param("most"),
        ),
    )
    .on_conflict_do_update(
        index_elements=["owner_id", "address"],
        set_={"is_wanted": True},
        where=and_(
            mail_addresses.c.confirmed_at.is_(None),
            mail_addresses.c.code_mails < MOST_ASKED,
            mail_addresses.c.code_sent_at < func.now() - ASK_AGAIN * SECOND,
        ),
    )
)


def _asked_today(same: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(same, _others.c.code_sent_at > func.now() - DAY).scalar_subquery()


_due: Final = mail_addresses.alias("due")
_NEXT: Final = Query(
    Unconfirmed,
    select(_due.c.owner_id.label("owner"), _due.c.address)
    .where(
        _due.c.is_wanted,
        _due.c.confirmed_at.is_(None),
        _is_subscribed(_due),
        _asked_today(_others.c.owner_id == _due.c.owner_id) < MOST_ASKED_OF_OWNER,
        _asked_today(_others.c.address == _due.c.address) < MOST_ASKED_OF_ADDRESS,
    )
    .limit(1)
    .with_for_update(skip_locked=True),
)

_ASK: Final = Statement(
    update(mail_addresses)
    .values(is_wanted=False, code=param("code"), code_sent_at=func.now(), code_mails=mail_addresses.c.code_mails + 1)
    .where(_IS_ADDRESS)
)

_ASK_LATER: Final = Statement(
    update(mail_addresses)
    .values(is_wanted=True, code=null(), code_sent_at=null(), code_mails=mail_addresses.c.code_mails - 1)
    .where(_IS_ADDRESS, mail_addresses.c.confirmed_at.is_(None), not_(mail_addresses.c.is_wanted))
)

_USE_CODE: Final = Statement(
    update(mail_addresses)
    .values(confirmed_at=func.now(), is_wanted=False, code=null())
    .where(
        mail_addresses.c.code == param("code"),
        mail_addresses.c.confirmed_at.is_(None),
        mail_addresses.c.code_sent_at > func.now() - LIFETIME * SECOND,
    )
    .returning(mail_addresses.c.address)
)

_ended: Final = mail_addresses.alias("ended")
_END: Final = Statement(
    delete(mail_addresses).where(
        mail_addresses.c.confirmed_at.is_(None),
        tuple_(mail_addresses.c.owner_id, mail_addresses.c.address).in_(
            select(_ended.c.owner_id, _ended.c.address)
            .where(
                _ended.c.confirmed_at.is_(None),
                func.coalesce(_ended.c.code_sent_at < func.now() - KEPT * SECOND, True),
                not_(_is_subscribed(_ended)),
            )
            .limit(param("limit"))
        ),
    )
)


async def confirm_address(connection: Connection, owner: int, address: str) -> None:
    """Take an address for its owner's: an operator says so, or the reference did."""
    await _CONFIRM.execute(connection, owner=owner, address=address)


async def want_address(connection: Connection, vehicle: int, address: str) -> None:
    """Have an address asked, unless it is confirmed or was asked a short time ago."""
    await _WANT.execute(connection, vehicle=vehicle, address=address, most=MOST_OF_OWNER)


async def take_unconfirmed(pool: Pool, code: str) -> Unconfirmed | None:
    """Take an address that a mail is due to, and give it a code; None where there is none."""
    async with pool.acquire() as connection, connection.transaction():
        due = await _NEXT.find(connection)
        if due is not None:
            await _ASK.execute(connection, owner=due.owner, address=due.address, code=_fingerprint(code))
        return due


async def ask_later(pool: Pool, asked: Unconfirmed) -> None:
    """Have a mail sent that could not be sent."""
    await _ASK_LATER.execute(pool, owner=asked.owner, address=asked.address)


async def use_code(pool: Pool, code: str) -> str | None:
    """Confirm the address of a code; return it, or None where the code is unknown, used or too old."""
    address: str | None = await _USE_CODE.fetchval(pool, code=_fingerprint(code))
    return address


async def end_unconfirmed(connection: Connection, *, limit: int) -> int:
    """Delete addresses that nobody has confirmed and no subscription names any longer; return how many."""
    return await _END.execute(connection, limit=limit)


def _fingerprint(code: str) -> bytes:
    return sha256(code.encode("utf-8", "replace")).digest()
