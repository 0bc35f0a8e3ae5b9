"""Vehicles that their owners share with others: offers, and shares that were accepted. Only the latter give access."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ovms.db.engine import Connection, Database

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

_OPEN: Final = "ends_at > now() AND (expires_at IS NULL OR expires_at > now())"

_LIST: Final = f"""
SELECT name, permit, shares.created_at, expires_at, accepted_at FROM shares JOIN owners ON owners.id = shares.owner_id
WHERE vehicle = $1
UNION ALL SELECT name, permit, created_at, expires_at, NULL FROM share_offers WHERE vehicle = $1 AND {_OPEN}
ORDER BY 1
"""  # noqa: S608  (constants)

_LIST_INCOMING: Final = f"""
SELECT vehicle_id, name, permit, shares.created_at, expires_at, accepted_at FROM shares
JOIN vehicles ON vehicles.id = vehicle JOIN owners ON owners.id = vehicles.owner_id WHERE shares.owner_id = $1
UNION ALL
SELECT vehicle_id, owners.name, permit, share_offers.created_at, expires_at, NULL FROM share_offers
JOIN vehicles ON vehicles.id = vehicle JOIN owners ON owners.id = vehicles.owner_id
WHERE folded = lower($2) AND NOT declined AND owners.id <> $1 AND {_OPEN}
ORDER BY 1
"""  # noqa: S608  (constants)

_COUNTS: Final = f"""
SELECT (SELECT count(*) FROM shares WHERE vehicle = $1) + count(*) FILTER (WHERE vehicle = $1),
  count(*) FILTER (WHERE owner_id = $2), count(*) FILTER (WHERE owner_id = $2 AND folded = lower($3)),
  count(*) FILTER (WHERE folded = lower($3))
FROM share_offers JOIN vehicles ON vehicles.id = vehicle
WHERE (owner_id = $2 OR folded = lower($3)) AND NOT (vehicle = $1 AND folded = lower($3)) AND {_OPEN}
"""  # noqa: S608  (constants)

_CHANGE: Final = """
UPDATE shares SET permit = $3, expires_at = $4 FROM owners
WHERE owners.id = owner_id AND vehicle = $1 AND lower(name) = lower($2)
RETURNING name, permit, shares.created_at, expires_at, accepted_at, owner_id
"""

_OFFER: Final = """
INSERT INTO share_offers AS kept (vehicle, folded, name, permit, expires_at, ends_at)
VALUES ($1, lower($2), $2, $3, $4, now() + make_interval(days => $5))
ON CONFLICT (vehicle, folded) DO UPDATE
SET permit = excluded.permit, expires_at = excluded.expires_at, ends_at = excluded.ends_at,
  declined = kept.declined AND kept.ends_at > now()
RETURNING name, permit, created_at, expires_at, NULL::timestamptz
"""

_FIND: Final = f"""
SELECT name, permit, shares.created_at, expires_at, accepted_at FROM shares JOIN owners ON owners.id = shares.owner_id
WHERE vehicle = $1 AND lower(name) = lower($2)
UNION ALL
SELECT name, permit, created_at, expires_at, NULL FROM share_offers WHERE vehicle = $1 AND folded = lower($2) AND {_OPEN}
"""  # noqa: S608  (constants)

# Of two that come at once one finds the offer, and the other finds the share.
_ACCEPT: Final = f"""
WITH offer AS (
  DELETE FROM share_offers USING vehicles JOIN owners ON owners.id = owner_id
  WHERE vehicles.id = vehicle AND upper(vehicle_id) = upper($3) AND folded = lower($2) AND NOT declined AND owners.id <> $1
    AND {_OPEN}
  RETURNING vehicle, vehicle_id, owners.id AS owner_id, owners.name, permit, expires_at),
share AS (
  INSERT INTO shares (vehicle, owner_id, permit, expires_at) SELECT vehicle, $1, permit, expires_at FROM offer
  ON CONFLICT (vehicle, owner_id) DO UPDATE SET permit = excluded.permit, expires_at = excluded.expires_at
  RETURNING created_at, accepted_at)
SELECT vehicle_id, name, permit, created_at, expires_at, accepted_at, owner_id FROM offer, share
"""  # noqa: S608  (constants)

_FIND_INCOMING: Final = f"{_LIST_INCOMING.split('UNION', maxsplit=1)[0]} AND upper(vehicle_id) = upper($2)"

_DECLINE: Final = f"""
UPDATE share_offers SET declined = true FROM vehicles
WHERE vehicles.id = vehicle AND upper(vehicle_id) = upper($2) AND folded = lower($1) AND NOT declined AND {_OPEN}
RETURNING vehicle
"""  # noqa: S608  (constants)

_END: Final = """
DELETE FROM shares USING owners WHERE owners.id = owner_id AND vehicle = $1 AND lower(name) = lower($2) RETURNING owner_id
"""

_WITHDRAW: Final = "DELETE FROM share_offers WHERE vehicle = $1 AND folded = lower($2) RETURNING vehicle"

_END_OFFERS: Final = """
DELETE FROM share_offers WHERE (vehicle, folded) IN (SELECT vehicle, folded FROM share_offers WHERE ends_at < now() LIMIT $1)
"""


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


async def list_shares(db: Database, vehicle: int) -> list[Share]:
    """Return the shares of a vehicle and its offers by name; shares that have ended are included."""
    return [Share(*row) for row in await db.fetch(_LIST, vehicle)]


async def find_share(db: Database, vehicle: int, name: str) -> Share | None:
    """Return the share of a vehicle with the owner of a name, or the offer to that name."""
    row = await db.fetchrow(_FIND, vehicle, name)
    return None if row is None else Share(*row)


async def may_offer(db: Database, vehicle: int, owner_id: int, name: str) -> bool:
    """Return whether the bounds allow an owner to offer a share of a vehicle to a name."""
    counted = await db.fetchrow(_COUNTS, vehicle, owner_id, name)
    assert counted is not None
    of_vehicle, of_owner, to_one, offered = counted
    return bool(of_vehicle < MOST_SHARES and of_owner < MOST_OFFERS and to_one < MOST_OFFERS_TO_ONE and offered < MOST_OFFERED)


async def change_share(
    db: Database, vehicle: int, name: str, *, permit: str, expires_at: datetime | None
) -> tuple[Share, int] | None:
    """Change a share that was accepted; return it and its recipient, None where there is none with the owner of this name."""
    row = await db.fetchrow(_CHANGE, vehicle, name, permit, expires_at)
    if row is None:
        return None
    *share, owner_id = row
    return Share(*share), owner_id


async def offer_share(db: Database, vehicle: int, name: str, *, permit: str, expires_at: datetime | None) -> Share:
    """Offer a share of a vehicle to the owner of a name, or change the offer; a declined one stays declined."""
    row = await db.fetchrow(_OFFER, vehicle, name, permit, expires_at, OFFERED_FOR)
    assert row is not None
    return Share(*row)


async def end_share(db: Database, vehicle: int, name: str) -> int | None:
    """End a share with the owner of a name; return that owner, None where there was no share."""
    owner_id: int | None = await db.fetchval(_END, vehicle, name)
    return owner_id


async def withdraw_offer(db: Database, vehicle: int, name: str) -> bool:
    """Withdraw the offer to a name; return whether there was one."""
    return await db.fetchval(_WITHDRAW, vehicle, name) is not None


async def list_incoming_shares(db: Database, owner_id: int, name: str) -> list[IncomingShare]:
    """Return the shares and offers that an owner, given also by name, has of others, by vehicle id."""
    return [IncomingShare(*row) for row in await db.fetch(_LIST_INCOMING, owner_id, name)]


async def find_incoming_share(db: Database, owner_id: int, vehicle_id: str) -> IncomingShare | None:
    """Return the share that an owner has of a vehicle of another."""
    row = await db.fetchrow(_FIND_INCOMING, owner_id, vehicle_id)
    return None if row is None else IncomingShare(*row)


async def accept_share(db: Database, owner_id: int, name: str, vehicle_id: str) -> tuple[IncomingShare, int] | None:
    """Accept the offer of a vehicle; return the share and the owner of the vehicle, None where there is no offer."""
    row = await db.fetchrow(_ACCEPT, owner_id, name, vehicle_id)
    if row is None:
        return None
    *share, offering = row
    return IncomingShare(*share), offering


async def decline_share(db: Database, name: str, vehicle_id: str) -> bool:
    """Decline the offer of a vehicle; return whether there was one."""
    return await db.fetchval(_DECLINE, name, vehicle_id) is not None


async def end_offers(connection: Connection, *, limit: int) -> int:
    """Remove offers that have ended, at most so many; return how many were removed."""
    status = await connection.execute(_END_OFFERS, limit)
    return int(status.removeprefix("DELETE "))
