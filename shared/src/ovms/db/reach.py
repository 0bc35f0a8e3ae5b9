"""Which vehicles somebody reaches: his own, and those that others share with him."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Text, and_, any_, case, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from ovms.db.engine import Database
from ovms.db.statement import Query, param, same_id, unexpired
from ovms.db.tables import owners, shares, vehicles
from ovms.identity import VehicleName


@dataclass(frozen=True, slots=True)
class Reached:
    """A vehicle, and what somebody may do with it."""

    key: int
    """`vehicles.id`"""
    vehicle_id: str
    """As its owner spells it."""
    owner_id: int
    """Whose it is: not always who reaches it."""
    owner: str
    permit: str
    """What its owner lets him do; `*`: it is his own."""

    @property
    def name(self) -> VehicleName:
        """Return its name on Redis."""
        return VehicleName(self.vehicle_id, self.key)


_IS_OWN: Final = vehicles.c.owner_id == param("caller")

_REACHED: Final = (
    select(
        vehicles.c.id.label("key"),
        vehicles.c.vehicle_id,
        vehicles.c.owner_id,
        owners.c.name.label("owner"),
        case((_IS_OWN, "*"), else_=shares.c.permit).label("permit"),
    )
    .join_from(vehicles, owners, owners.c.id == vehicles.c.owner_id)
    .outerjoin(shares, and_(shares.c.vehicle == vehicles.c.id, shares.c.owner_id == param("caller"), unexpired(shares)))
    .where(or_(_IS_OWN, shares.c.vehicle.is_not(None)))
)

_ONE: Final = Query(Reached, _REACHED.where(same_id(vehicles.c.vehicle_id, param("vehicle_id"))))

_ONLY: Final = cast(param("only"), ARRAY(Text))
_ALL: Final = Query(
    Reached,
    _REACHED.where(or_(_ONLY.is_(None), func.upper(vehicles.c.vehicle_id) == any_(_ONLY))).order_by(
        func.upper(vehicles.c.vehicle_id).collate("C")
    ),
)


async def find_reached(db: Database, owner_id: int, vehicle_id: str) -> Reached | None:
    """A vehicle by its id, without regard to case; None where an owner does not reach it."""
    return await _ONE.find(db, caller=owner_id, vehicle_id=vehicle_id)


async def list_reached(db: Database, owner_id: int, only: Iterable[str] | None = None) -> list[Reached]:
    """All vehicles that an owner reaches, in order of their ids; those of these folded ids alone, where some are given."""
    return await _ALL.find_all(db, caller=owner_id, only=None if only is None else list(only))
