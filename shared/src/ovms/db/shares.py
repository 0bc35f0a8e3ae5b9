"""Vehicles that their owners share with others: offers, and shares that were accepted. Only the latter give access."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import DateTime, and_, cast, delete, func, not_, null, or_, select, tuple_, union_all, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection, Database
from ovms.db.statement import DAY, Query, Statement, columns, param, same_id, same_name, unexpired
from ovms.db.tables import owners, share_offers, shares, vehicles

MOST_SHARES: Final = 64
"""Of one vehicle, offers included."""
MOST_OFFERS: Final = 64
"""Of one owner, over all its vehicles."""
MOST_OFFERS_TO_ONE: Final = 10
"""Of one owner to another."""
MOST_OFFERED: Final = 100
"""To one owner, by all others."""
OFFERED_FOR: Final = 30
"""Days until an offer ends."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of a vehicle, or an offer of one."""

    owner: str
    """The other owner's name; of an offer, as it was spelled."""
    permit: str
    created_at: datetime
    expires_at: datetime | None
    """None: it does not end by itself."""
    accepted_at: datetime | None
    """None: it is an offer."""


@dataclass(frozen=True, slots=True)
class IncomingShare:
    """A share of another owner's vehicle, or an offer of one."""

    vehicle_id: str
    owner: str
    """The name of the vehicle's owner."""
    permit: str
    created_at: datetime
    expires_at: datetime | None
    accepted_at: datetime | None


_IS_OPEN: Final = and_(share_offers.c.ends_at > func.now(), unexpired(share_offers))
_IS_OFFERED: Final = share_offers.c.folded == func.lower(param("name"))
_NOT_ACCEPTED: Final = cast(null(), DateTime(timezone=True)).label("accepted_at")

_SHARE: Final = (owners.c.name.label("owner"), *columns(shares, "permit", "created_at", "expires_at", "accepted_at"))
_SHARES: Final = (
    select(*_SHARE).join_from(shares, owners, owners.c.id == shares.c.owner_id).where(shares.c.vehicle == param("vehicle"))
)

_OFFER_AS_SHARE: Final = (
    share_offers.c.name.label("owner"),
    *columns(share_offers, "permit", "created_at", "expires_at"),
    _NOT_ACCEPTED,
)
_OFFERS: Final = select(*_OFFER_AS_SHARE).where(share_offers.c.vehicle == param("vehicle"), _IS_OPEN)

_LIST: Final = Query(Share, union_all(_SHARES, _OFFERS).order_by("owner"))

_FIND: Final = Query(Share, union_all(_SHARES.where(same_name(owners.c.name, param("name"))), _OFFERS.where(_IS_OFFERED)))

_INCOMING: Final = (
    select(
        vehicles.c.vehicle_id,
        owners.c.name.label("owner"),
        *columns(shares, "permit", "created_at", "expires_at", "accepted_at"),
    )
    .join_from(shares, vehicles, vehicles.c.id == shares.c.vehicle)
    .join(owners, owners.c.id == vehicles.c.owner_id)
    .where(shares.c.owner_id == param("owner_id"))
)

_LIST_INCOMING: Final = Query(
    IncomingShare,
    union_all(
        _INCOMING,
        select(
            vehicles.c.vehicle_id, owners.c.name, *columns(share_offers, "permit", "created_at", "expires_at"), _NOT_ACCEPTED
        )
        .join_from(share_offers, vehicles, vehicles.c.id == share_offers.c.vehicle)
        .join(owners, owners.c.id == vehicles.c.owner_id)
        .where(_IS_OFFERED, not_(share_offers.c.declined), owners.c.id != param("owner_id"), _IS_OPEN),
    ).order_by("vehicle_id"),
)

_FIND_INCOMING: Final = Query(IncomingShare, _INCOMING.where(same_id(vehicles.c.vehicle_id, param("vehicle_id"))))

_IS_OF_VEHICLE: Final = share_offers.c.vehicle == param("vehicle")
_IS_OF_OWNER: Final = vehicles.c.owner_id == param("owner_id")
_COUNTS: Final = Statement(
    select(
        select(func.count()).where(shares.c.vehicle == param("vehicle")).scalar_subquery()
        + func.count().filter(_IS_OF_VEHICLE),
        func.count().filter(_IS_OF_OWNER),
        func.count().filter(and_(_IS_OF_OWNER, _IS_OFFERED)),
        func.count().filter(_IS_OFFERED),
    )
    .join_from(share_offers, vehicles, vehicles.c.id == share_offers.c.vehicle)
    .where(or_(_IS_OF_OWNER, _IS_OFFERED), not_(and_(_IS_OF_VEHICLE, _IS_OFFERED)), _IS_OPEN)
)

_CHANGE: Final = Query(
    Share,
    update(shares)
    .values(permit=param("permit"), expires_at=param("expires_at"))
    .where(owners.c.id == shares.c.owner_id, shares.c.vehicle == param("vehicle"), same_name(owners.c.name, param("name")))
    .returning(*_SHARE, shares.c.owner_id),
)

_offering: Final = upsert(share_offers).values(
    vehicle=param("vehicle"),
    folded=func.lower(param("name")),
    name=param("name"),
    permit=param("permit"),
    expires_at=param("expires_at"),
    ends_at=func.now() + OFFERED_FOR * DAY,
)
_OFFER: Final = Query(
    Share,
    _offering.on_conflict_do_update(
        index_elements=["vehicle", "folded"],
        set_={
            "permit": _offering.excluded.permit,
            "expires_at": _offering.excluded.expires_at,
            "ends_at": _offering.excluded.ends_at,
            "declined": and_(share_offers.c.declined, share_offers.c.ends_at > func.now()),
        },
    ).returning(*_OFFER_AS_SHARE),
)

# Of two that come at once one finds the offer, and the other finds the share.
_offer: Final = (
    delete(share_offers)
    .where(
        vehicles.c.id == share_offers.c.vehicle,
        owners.c.id == vehicles.c.owner_id,
        same_id(vehicles.c.vehicle_id, param("vehicle_id")),
        _IS_OFFERED,
        not_(share_offers.c.declined),
        owners.c.id != param("owner_id"),
        _IS_OPEN,
    )
    .returning(
        share_offers.c.vehicle,
        vehicles.c.vehicle_id,
        owners.c.id.label("owner_id"),
        owners.c.name.label("owner"),
        share_offers.c.permit,
        share_offers.c.expires_at,
    )
    .cte("offer")
)
_accepting: Final = upsert(shares).from_select(
    ["vehicle", "owner_id", "permit", "expires_at"],
    select(_offer.c.vehicle, param("owner_id"), _offer.c.permit, _offer.c.expires_at),
)
_accepted: Final = (
    _accepting.on_conflict_do_update(
        index_elements=["vehicle", "owner_id"],
        set_={"permit": _accepting.excluded.permit, "expires_at": _accepting.excluded.expires_at},
    )
    .returning(shares.c.created_at, shares.c.accepted_at)
    .cte("share")
)
_ACCEPT: Final = Query(
    IncomingShare,
    select(
        _offer.c.vehicle_id,
        _offer.c.owner,
        _offer.c.permit,
        _accepted.c.created_at,
        _offer.c.expires_at,
        _accepted.c.accepted_at,
        _offer.c.owner_id,
    ),
)

_DECLINE: Final = Statement(
    update(share_offers)
    .values(declined=True)
    .where(
        vehicles.c.id == share_offers.c.vehicle,
        same_id(vehicles.c.vehicle_id, param("vehicle_id")),
        _IS_OFFERED,
        not_(share_offers.c.declined),
        _IS_OPEN,
    )
)

_END: Final = Statement(
    delete(shares)
    .where(owners.c.id == shares.c.owner_id, shares.c.vehicle == param("vehicle"), same_name(owners.c.name, param("name")))
    .returning(shares.c.owner_id)
)

_WITHDRAW: Final = Statement(delete(share_offers).where(_IS_OF_VEHICLE, _IS_OFFERED))

_END_OFFERS: Final = Statement(
    delete(share_offers).where(
        tuple_(share_offers.c.vehicle, share_offers.c.folded).in_(
            select(share_offers.c.vehicle, share_offers.c.folded)
            .where(share_offers.c.ends_at < func.now())
            .limit(param("limit"))
        )
    )
)


async def list_shares(db: Database, vehicle: int) -> list[Share]:
    """Return the shares of a vehicle and its offers by name; shares that have ended are included."""
    return await _LIST.find_all(db, vehicle=vehicle)


async def find_share(db: Database, vehicle: int, name: str) -> Share | None:
    """Return the share of a vehicle with the owner of a name, or the offer to that name."""
    return await _FIND.find(db, vehicle=vehicle, name=name)


async def may_offer(db: Database, vehicle: int, owner_id: int, name: str) -> bool:
    """Return whether the bounds allow an owner to offer a share of a vehicle to a name."""
    counted = await _COUNTS.fetchrow(db, vehicle=vehicle, owner_id=owner_id, name=name)
    assert counted is not None
    of_vehicle, of_owner, to_one, offered = counted
    return bool(of_vehicle < MOST_SHARES and of_owner < MOST_OFFERS and to_one < MOST_OFFERS_TO_ONE and offered < MOST_OFFERED)


async def change_share(
    db: Database, vehicle: int, name: str, *, permit: str, expires_at: datetime | None
) -> tuple[Share, int] | None:
    """Change a share that was accepted; return it and its recipient, None where there is none with the owner of this name."""
    row = await _CHANGE.fetchrow(db, vehicle=vehicle, name=name, permit=permit, expires_at=expires_at)
    return None if row is None else (_CHANGE.build(row), row["owner_id"])


async def offer_share(db: Database, vehicle: int, name: str, *, permit: str, expires_at: datetime | None) -> Share:
    """Offer a share of a vehicle to the owner of a name, or change the offer; a declined one stays declined."""
    offer = await _OFFER.find(db, vehicle=vehicle, name=name, permit=permit, expires_at=expires_at)
    assert offer is not None
    return offer


async def end_share(db: Database, vehicle: int, name: str) -> int | None:
    """End a share with the owner of a name; return that owner, None where there was no share."""
    owner_id: int | None = await _END.fetchval(db, vehicle=vehicle, name=name)
    return owner_id


async def withdraw_offer(db: Database, vehicle: int, name: str) -> bool:
    """Withdraw the offer to a name; return whether there was one."""
    return await _WITHDRAW.execute(db, vehicle=vehicle, name=name) > 0


async def list_incoming_shares(db: Database, owner_id: int, name: str) -> list[IncomingShare]:
    """Return the shares and offers that an owner, given also by name, has of others, by vehicle id."""
    return await _LIST_INCOMING.find_all(db, owner_id=owner_id, name=name)


async def find_incoming_share(db: Database, owner_id: int, vehicle_id: str) -> IncomingShare | None:
    """Return the share that an owner has of a vehicle of another."""
    return await _FIND_INCOMING.find(db, owner_id=owner_id, vehicle_id=vehicle_id)


async def accept_share(db: Database, owner_id: int, name: str, vehicle_id: str) -> tuple[IncomingShare, int] | None:
    """Accept the offer of a vehicle; return the share and the owner of the vehicle, None where there is no offer."""
    row = await _ACCEPT.fetchrow(db, owner_id=owner_id, name=name, vehicle_id=vehicle_id)
    return None if row is None else (_ACCEPT.build(row), row["owner_id"])


async def decline_share(db: Database, name: str, vehicle_id: str) -> bool:
    """Decline the offer of a vehicle; return whether there was one."""
    return await _DECLINE.execute(db, name=name, vehicle_id=vehicle_id) > 0


async def end_offers(connection: Connection, *, limit: int) -> int:
    """Remove offers that have ended, at most so many; return how many were removed."""
    return await _END_OFFERS.execute(connection, limit=limit)
