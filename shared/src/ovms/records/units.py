"""The units that a car chooses itself: its S record says which."""

from enum import StrEnum
from typing import Final

DISTANCE: Final = "km or mi"
SPEED: Final = "km/h or mph"


class DistanceUnit(StrEnum):
    """The unit of the distances and speeds that a car sends: K kilometres, M miles."""

    KILOMETRES = "K"
    MILES = "M"
