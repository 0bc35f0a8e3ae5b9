"""What a car says about itself: the eight records, each declared once as data. Pure: no I/O."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ovms.records.capabilities import Capabilities
from ovms.records.environment import Doors1, Doors2, Doors3, Doors4, Doors5, Environment, LockState
from ovms.records.firmware import Firmware
from ovms.records.four_tyres import FourTyres
from ovms.records.freshness import Freshness
from ovms.records.generator import Generator
from ovms.records.location import Location
from ovms.records.record import Record, decode, encode
from ovms.records.state import State
from ovms.records.tyres import AlertLevel, Tyres
from ovms.records.units import DistanceUnit

RECORDS: Final[Mapping[str, type[Record]]] = MappingProxyType(
    {cls.code: cls for cls in (State, Environment, Location, FourTyres, Tyres, Firmware, Capabilities, Generator)}
)

__all__ = [
    "RECORDS",
    "AlertLevel",
    "Capabilities",
    "DistanceUnit",
    "Doors1",
    "Doors2",
    "Doors3",
    "Doors4",
    "Doors5",
    "Environment",
    "Firmware",
    "FourTyres",
    "Freshness",
    "Generator",
    "Location",
    "LockState",
    "Record",
    "State",
    "Tyres",
    "decode",
    "encode",
]
