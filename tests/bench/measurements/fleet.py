"""How late messages are of a large fleet on one process, each car of which says something now and then."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from bench.errors import BenchError
from bench.load.ears import Ears
from bench.load.lines import TEMPLATES
from bench.load.sessions import LoggedIn, close, log_in, welcomes
from bench.load.subscriber import Subscriber
from bench.measurement import Readings, Scene, Size
from bench.percentiles import milliseconds
from bench.process import cpu_seconds

RATE: Final = 200.0
"""Messages a second of all: of ten thousand cars each says something every fifty seconds."""
STRIDE: Final = 7919
"""From one car that says something to the next, so that they are no neighbours and none comes twice."""
LOOK_EVERY: Final = 0.001
PATIENCE: Final = 10.0


def measure_lateness(scene: Scene, size: Size) -> Readings:
    """From a car's sending to its publication on Redis."""
    stack = scene.stack
    with closing(Subscriber(stack.valkey_socket)) as subscriber:
        cars = log_in(stack.v2_ports, welcomes(scene.accounts), stay=True)
        before, began = cpu_seconds(stack.car_protocols[0]), time.perf_counter()
        took = _took(cars, subscriber, int(RATE * size.fleet_seconds))
        busy = (cpu_seconds(stack.car_protocols[0]) - before) / (time.perf_counter() - began)
        close(cars)
    return milliseconds(took) | {"cores busy, car-protocol": busy}


def _took(cars: Sequence[LoggedIn], subscriber: Subscriber, count: int) -> list[float]:
    """Send so many messages evenly; how long each took."""
    places = [number * STRIDE % len(cars) for number in range(count)]
    lines = [cars[place].cipher().seal(TEMPLATES[0] % number) for number, place in enumerate(places)]
    sent: list[float] = []
    heard: list[float] = []
    began = time.perf_counter()
    with closing(Ears([subscriber])) as ears:
        while len(heard) < count:
            due = min(count, int((time.perf_counter() - began) * RATE))
            for number in range(len(sent), due):
                sent.append(time.perf_counter())
                cars[places[number]].connection.sendall(lines[number])
            if not ears.hear(LOOK_EVERY if due < count else PATIENCE) and due == count:
                raise BenchError(f"{count - len(heard)} messages have not come")
            heard += [ears.last_heard] * (subscriber.count - len(heard))
    numbers = [int(message.rpartition(b",")[2]) for _, message in subscriber.publications()]
    return [at - sent[number] for at, number in zip(heard, numbers, strict=True)]
