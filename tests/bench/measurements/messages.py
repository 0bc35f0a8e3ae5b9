"""Messages a second through the whole path: RC4, storage, publication, and to an app a car where there are any.

A message counts when it went out on Redis and was written to PostgreSQL: the clock stops when the last publication has come,
the last row is committed and the last app has heard the last. Every publication, every final row and every line of every app is
compared with what was sent, and what was replaced before it became a row does not count. All lines are enciphered before the
clock starts. The server sets the pace: a car sends its next round when its former one is published and stored, so that at any
time eight messages a car are under way and none replaces another.
"""

import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import chain
from typing import Final

from bench.errors import BenchError
from bench.load.apps import Apps
from bench.load.ears import Ears
from bench.load.fleet import Account
from bench.load.lines import CODES, TEMPLATES, by_code, rounds_of
from bench.load.rows import Rows, Watch
from bench.load.sessions import LoggedIn, close, log_in, welcomes
from bench.load.subscriber import Subscriber
from bench.measurement import Readings, Scene, Size
from bench.process import cpu_seconds, metric, tree_cpu_seconds
from bench.stack import Stack
from ovms.identity import fold_vehicle_id

BLOCKS: Final = 20
LOOK_EVERY: Final = 0.002
QUIET: Final = 0.3
"""Seconds without a word after which apps have heard everything."""

BUSY: Final = ("car-protocol", "load", "PostgreSQL", "Valkey")

Sent = Mapping[str, Sequence[Sequence[bytes]]]
"""What the cars send: their rounds, by vehicle id."""


def measure_messages(scene: Scene, size: Size) -> Readings:
    """Nobody watches."""
    return _measure(scene.stack, scene.accounts, size.rounds, watched=False)


def measure_watched_messages(scene: Scene, size: Size) -> Readings:
    """Each car has an app that watches it."""
    return _measure(scene.stack, scene.accounts, size.watched_rounds, watched=True)


def _measure(stack: Stack, accounts: Sequence[Account], rounds: int, *, watched: bool) -> Readings:
    with ExitStack() as ends:
        # Before the cars, which would be told of them on the clock's time.
        apps = ends.enter_context(closing(Apps(stack.v2_ports, accounts))) if watched else None
        cars = log_in(stack.v2_ports, welcomes(accounts), stay=True)
        ends.callback(close, cars)
        cars.sort(key=lambda car: car.account.vehicle_id)
        sent = {car.account.vehicle_id: rounds_of(number, rounds) for number, car in enumerate(cars)}
        blocks = [_Block(some, sent) for some in _cut(cars, BLOCKS)]
        subscriber = ends.enter_context(closing(Subscriber(stack.valkey_socket)))
        rows = ends.enter_context(closing(Rows(stack.database_url)))
        ears = ends.enter_context(closing(Ears([subscriber, *(apps.apps if apps else ())])))
        watch = Watch(rows, [block.last_car for block in blocks], chr(TEMPLATES[-1][0]))
        ears.hear_out(QUIET)
        before, began = _look(stack), time.perf_counter()
        _send(blocks, rounds, subscriber, watch, ears)
        rows.become({name: by_code(car_rounds[-1]) for name, car_rounds in sent.items()})
        ended, after = time.perf_counter(), _look(stack)
        if apps:
            ears.hear_out(QUIET)
            ended = max(ended, ears.last_heard)
            apps.compare(sent)
        _compare(subscriber.heard(), sent)
    return _readings(len(cars) * rounds * CODES, ended - began, before, after)


class _Block:
    """Some cars that send one after the other, and the last message of each of their rounds."""

    def __init__(self, cars: Sequence[LoggedIn], sent: Sent) -> None:
        self.size = len(cars) * CODES
        self.last_car = cars[-1].account.vehicle_id
        self.lasts = [messages[-1] for messages in sent[self.last_car]]
        self.lines = [(car.connection, _encipher(car, sent[car.account.vehicle_id])) for car in cars]


def _encipher(car: LoggedIn, rounds: Sequence[Sequence[bytes]]) -> list[bytes]:
    seal = car.cipher().seal
    return [b"".join(map(seal, messages)) for messages in rounds]


def _cut(cars: Sequence[LoggedIn], blocks: int) -> list[Sequence[LoggedIn]]:
    size = -(-len(cars) // blocks)
    return [cars[start : start + size] for start in range(0, len(cars), size)]


def _send(blocks: Sequence[_Block], rounds: int, subscriber: Subscriber, watch: Watch, ears: Ears) -> None:
    """Send round by round from block to block, as the server keeps up; returns when all is published."""
    sent = 0
    a_round = sum(block.size for block in blocks)
    for number in range(rounds):
        for block in blocks:
            if number:
                _await_count(subscriber, sent - a_round + block.size, ears)
                while not watch.holds(block.last_car, block.lasts[number - 1]):
                    ears.hear()
                    time.sleep(LOOK_EVERY)
            for connection, lines in block.lines:
                connection.sendall(lines[number])
            ears.hear()
            sent += block.size
    _await_count(subscriber, sent, ears)


def _await_count(subscriber: Subscriber, count: int, ears: Ears) -> None:
    ears.hear_until(lambda: subscriber.count >= count)


def _compare(heard: Mapping[str, Sequence[bytes]], sent: Sent) -> None:
    if heard != {fold_vehicle_id(name): list(chain(*rounds)) for name, rounds in sent.items()}:
        raise BenchError("what was published is not what the cars sent")


def _look(stack: Stack) -> tuple[float, ...]:
    """Rows written, and the processor time taken by everybody, in the order of `BUSY`."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return (
        sum(_rows_of_messages(port) for port in stack.health_ports),
        sum(map(cpu_seconds, stack.car_protocols)),
        own.ru_utime + own.ru_stime,
        tree_cpu_seconds(stack.postgres),
        cpu_seconds(stack.valkey),
    )


def _rows_of_messages(port: int) -> float:
    """A message that was sampled, or is in the state history as well, has more rows, and counts once."""
    others = ("ovms_samples_written_total", "ovms_state_history_written_total")
    return metric(port, "ovms_rows_written_total") - sum(metric(port, name) for name in others)


def _readings(messages: int, seconds: float, before: Sequence[float], after: Sequence[float]) -> Readings:
    rows, *busy = (late - early for early, late in zip(before, after, strict=True))
    return {
        "a second": min(messages, rows) / seconds,
        "rows a message": rows / messages,
        **{f"cores busy, {who}": processor / seconds for who, processor in zip(BUSY, busy, strict=True)},
    }
