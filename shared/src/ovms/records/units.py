"""The units that a car chooses itself: its S record says which."""

from enum import StrEnum
from typing import Final

DISTANCE: Final = "km or mi"
SPEED: Final = "km/h or mph"

FIRST_DATE: Final = 1_293_840_000
"""2011-01-01 in Unix time, the year of the first module: one that sends an earlier date does not know the time yet."""
LONGEST_TIME: Final = 65_534
"""Minutes of an estimated time: 65535, the greatest number of 16 bits, stands for "unknown"."""


class DistanceUnit(StrEnum):
    """The unit of the distances and speeds that a car sends: K kilometres, M miles."""

    KILOMETRES = "K"
    MILES = "M"
