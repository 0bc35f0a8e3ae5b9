"""Remembers the vehicles whose logins were right lately, so that they can log in while PostgreSQL does not answer."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

from ovms.db.logins import Vehicle

LIFETIME: Final = 86_400.0
"""Seconds after which what PostgreSQL said of a vehicle counts no more."""


class KnownVehicles:
    """Vehicles as PostgreSQL gave them, their passwords sealed, by upper-cased id.

    Args:
        capacity: how many are kept; the one that has not logged in for longest is forgotten first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vehicles: OrderedDict[str, tuple[Vehicle, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vehicles)

    def keep(self, folded_id: str, vehicle: Vehicle, now: float) -> None:
        """Remember a vehicle that has just been found and has logged in."""
        self._vehicles[folded_id] = (vehicle, now)
        self._vehicles.move_to_end(folded_id)
        if len(self._vehicles) > self._capacity:
            self._vehicles.popitem(last=False)

    def refresh(self, asked: Iterable[str], found: Mapping[str, Vehicle], now: float) -> None:
        """Take what PostgreSQL says now of those that are remembered; what it does not have any more is forgotten."""
        for folded_id in asked:
            if folded_id not in self._vehicles:
                continue
            if folded_id in found:
                self._vehicles[folded_id] = (found[folded_id], now)
            else:
                del self._vehicles[folded_id]

    def find(self, folded_id: str, now: float) -> Vehicle | None:
        """A vehicle as it was within the last day."""
        kept = self._vehicles.get(folded_id)
        if kept is None or now >= kept[1] + LIFETIME:
            return None
        return kept[0]

    def ageing(self, now: float, most: int) -> list[str]:
        """Those of which PostgreSQL should be asked again: a car may be connected for weeks after its login."""
        old = [folded_id for folded_id, (_, found_at) in self._vehicles.items() if now >= found_at + LIFETIME / 2]
        return old[:most]
