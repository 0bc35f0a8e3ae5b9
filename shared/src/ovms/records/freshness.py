"""How old a measurement is."""

from enum import IntEnum


class Freshness(IntEnum):
    """How old a measurement is: -1 there is none, 0 stale, 1 fresh."""

    NONE = -1
    STALE = 0
    FRESH = 1

    @classmethod
    def _missing_(cls, value: object) -> "Freshness | None":
        # Manual: ">0 ok".
        return cls.FRESH if isinstance(value, int) and value > 0 else None
