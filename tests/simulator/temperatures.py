"""How warm the air and the car are."""

import math

from simulator.journey import Moment, Phase


def ambient_temperature(moment: Moment) -> float:
    """Coldest at three in the morning, warmest twelve hours later."""
    return 15 - 7 * math.cos(math.tau * (moment.clock / 86_400 - 3 / 24))


def warmth(moment: Moment) -> float:
    """How warm the drive train is: 0 as the air, 1 as after a long drive."""
    if moment.phase is Phase.DRIVING:
        return 1 - math.exp(-moment.since / 900)
    return math.exp(-moment.since / 3600)
