"""Which faults come when: drawn from a seed, so that the same seed gives the same plan. Pure."""

import random
from dataclasses import dataclass
from typing import Final

KILL: Final = "kill"
DRAIN: Final = "drain"
PAUSE: Final = "pause"
RESTART: Final = "restart"
FILL: Final = "fill"
TAKEOVER: Final = "takeover"
TWINS: Final = "twins"
CUT: Final = "cut"
BURST: Final = "burst"

REDIS: Final = "redis"
POSTGRES: Final = "postgres"
FLEET: Final = "fleet"


@dataclass(frozen=True, slots=True)
class Kind:
    """What may happen to what, how often, and for how long."""

    name: str
    target: str
    weight: float
    shortest: float
    longest: float


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to whom, from when, and for how long; seconds from the beginning of the run."""

    kind: str
    target: str
    begins: float
    lasts: float

    @property
    def ends(self) -> float:
        return self.begins + self.lasts

    def __str__(self) -> str:
        return f"{self.kind} {self.target}, {self.lasts:.1f} s"


REPLICA: Final = "replica"
GATEWAY: Final = "gateway"
KINDS: Final = (
    Kind(KILL, REPLICA, 4, 0.0, 4.0),
    Kind(DRAIN, REPLICA, 3, 0.0, 2.0),
    Kind(PAUSE, REPLICA, 4, 2.0, 20.0),
    Kind(KILL, REDIS, 2, 0.0, 5.0),  # what it held is lost
    Kind(RESTART, REDIS, 1, 0.0, 2.0),  # nothing is lost
    Kind(PAUSE, REDIS, 2, 1.0, 10.0),
    Kind(KILL, POSTGRES, 2, 0.0, 5.0),
    Kind(RESTART, POSTGRES, 1, 0.0, 2.0),
    Kind(PAUSE, POSTGRES, 2, 1.0, 10.0),
    Kind(FILL, POSTGRES, 1, 1.0, 6.0),  # all its connections are taken
    Kind(KILL, GATEWAY, 1, 0.0, 3.0),
    Kind(DRAIN, GATEWAY, 1, 0.0, 2.0),
    Kind(TAKEOVER, FLEET, 4, 0.0, 0.5),
    Kind(TWINS, FLEET, 2, 3.0, 8.0),
    Kind(CUT, FLEET, 2, 0.0, 0.5),
    Kind(BURST, FLEET, 2, 0.0, 0.5),
)

LANES: Final = ((1.0, 1.5), (2.0, 6.0))
"""Faults of a lane come one after the other, with a pause between these; two lanes are two faults at a time at most."""


def draw(seed: int, seconds: float, *, replicas: int, gateways: int) -> list[Fault]:
    """The faults of a run, the first to begin first; all end within `seconds`."""
    dice = random.Random(seed)
    names = {REPLICA: _names(REPLICA, replicas), GATEWAY: _names(GATEWAY, gateways)}
    faults: list[Fault] = []
    for shortest, longest in LANES:
        begins = dice.uniform(shortest, longest)
        while begins < seconds:
            fault = _one(dice, begins, seconds, names, faults)
            faults.append(fault)
            begins = fault.ends + dice.uniform(shortest, longest)
    return sorted(faults, key=lambda fault: fault.begins)


def _one(dice: random.Random, begins: float, seconds: float, names: dict[str, list[str]], others: list[Fault]) -> Fault:
    while True:
        [kind] = dice.choices(KINDS, [kind.weight for kind in KINDS])
        target = dice.choice(names.get(kind.target, [kind.target]))
        fault = Fault(kind.name, target, begins, min(dice.uniform(kind.shortest, kind.longest), seconds - begins))
        if not any(_collide(fault, other) for other in others):
            return fault


def _collide(one: Fault, other: Fault) -> bool:
    same = one.target == other.target and one.target != FLEET
    return same and one.begins <= other.ends and other.begins <= one.ends


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind} {number}" for number in range(1, count + 1)]
