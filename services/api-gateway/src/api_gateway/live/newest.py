"""The newest message of a record: decoded and written once for all who watch, and only when the first of them takes it."""

from dataclasses import replace
from functools import cached_property
from typing import Any

from api_gateway.live.events import STATE, time_of, to_json
from api_gateway.v1.records import NAMES, UNITS
from ovms.records import RECORDS, DistanceUnit, Location, Record, decode
from ovms.records.location import has_place


class Newest:
    """An event of a record's state.

    Args:
        units: those that the car measures in, where it has told.
    """

    kind = STATE

    def __init__(
        self, vehicle_id: str, code: str, message: bytes, received_at: float, units: DistanceUnit | None, *, is_sealed: bool
    ) -> None:
        self._vehicle_id = vehicle_id
        self.code = code
        self.message = message
        """As on the wire, without its code."""
        self.received_at = received_at
        self.units = units
        self.is_sealed = is_sealed

    def measured_in(self, units: DistanceUnit | None) -> "Newest":
        """The same in a car that measures in other units."""
        return Newest(self._vehicle_id, self.code, self.message, self.received_at, units, is_sealed=self.is_sealed)

    @cached_property
    def record(self) -> Record:
        """Its values; of a message that is not sealed. A location without a position has null, which replaces none."""
        record = decode(RECORDS[self.code], self.message.decode("utf-8", "replace"))
        if isinstance(record, Location) and not has_place(record):
            return replace(record, latitude=None, longitude=None)
        return record

    @cached_property
    def data(self) -> bytes:
        """The event's data."""
        told: dict[str, Any] = {
            "vehicle": self._vehicle_id,
            "code": self.code,
            "name": NAMES.get(self.code),
            "received_at": time_of(self.received_at),
            "sealed": self.is_sealed,
        }
        if not self.is_sealed:
            told |= {"values": self.record, "units": UNITS[self.code, self.units]}
        return to_json(told)
