"""Messages a second through the whole path: RC4, storage, publication.

A message counts when it went out on Redis and was written to PostgreSQL: the clock stops when the last publication has come and
the last row is committed, every publication and every final row is compared with what was sent, and what was replaced before it
became a row does not count. All lines are enciphered before the clock starts. The server sets the pace: a car sends its next
round when its former one is published and stored, so that at any time eight messages a car are under way and none replaces
another.
"""

import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Final

from bench.fleet import Account
from bench.lines import CODES, by_code, rounds_of
from bench.logins import LoggedIn, log_in, welcomes
from bench.process import cpu_seconds, metric, tree_cpu_seconds
from bench.rows import Rows
from bench.stack import BenchError, Stack
from bench.subscriber import Subscriber
from ovms.bus.channels import messages_channel

BLOCKS: Final = 20
LOOK_EVERY: Final = 0.002


@dataclass(frozen=True, slots=True)
class MessageRun:
    """What a run came to."""

    messages: int
    seconds: float
    rows: float
    """Written by the server: fewer than messages where some were replaced before they were written."""
    server_cpu: float
    """Cores that the processes under test kept busy, as the next ones."""
    load_cpu: float
    postgres_cpu: float
    valkey_cpu: float

    @property
    def rate(self) -> float:
        """Messages a second, each of them published and a row of its own."""
        return min(self.messages, self.rows) / self.seconds


def measure_messages(stack: Stack, accounts: Sequence[Account], rounds: int) -> MessageRun:
    """Send rounds from cars that have logged in."""
    cars = sorted(log_in(stack.v2_ports, welcomes(accounts), stay=True), key=lambda car: car.account.vehicle_id)
    numbers = {car.account.vehicle_id: number for number, car in enumerate(cars)}
    sent = {name: rounds_of(number, rounds) for name, number in numbers.items()}
    blocks = [_Block(some, sent) for some in _cut(cars, BLOCKS)]
    last = {name: by_code(car_rounds[-1]) for name, car_rounds in sent.items()}
    with closing(Subscriber(stack.valkey_socket, list(numbers))) as subscriber, closing(Rows(stack.database_url)) as rows:
        before, began = _look(stack), time.perf_counter()
        _send(blocks, rounds, subscriber, rows)
        rows.become(last)
        seconds, after = time.perf_counter() - began, _look(stack)
        _compare(subscriber.heard(), sent)
    for car in cars:
        car.connection.close()
    return _run(len(cars) * rounds * CODES, seconds, before, after)


class _Block:
    """Some cars that send one after the other, and the last message of each of their rounds."""

    def __init__(self, cars: Sequence[LoggedIn], sent: Mapping[str, Sequence[Sequence[bytes]]]) -> None:
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


def _send(blocks: Sequence[_Block], rounds: int, subscriber: Subscriber, rows: Rows) -> None:
    """Send round by round from block to block, as the server keeps up; returns when all is published."""
    sent = 0
    a_round = sum(block.size for block in blocks)
    for number in range(rounds):
        for block in blocks:
            if number:
                subscriber.await_count(sent - a_round + block.size)
                while not rows.holds(block.last_car, block.lasts[number - 1]):
                    subscriber.hear()
                    time.sleep(LOOK_EVERY)
            for connection, lines in block.lines:
                connection.sendall(lines[number])
            subscriber.hear()
            sent += block.size
    subscriber.await_count(sent)


def _compare(heard: dict[str, list[bytes]], sent: dict[str, list[list[bytes]]]) -> None:
    if heard != {messages_channel(name): list(chain(*rounds)) for name, rounds in sent.items()}:
        raise BenchError("what was published is not what the cars sent")


def _look(stack: Stack) -> tuple[float, ...]:
    """Rows written, and the processor time taken by everybody, in the order of `MessageRun`."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return (
        sum(_rows_of_messages(port) for port in stack.health_ports),
        sum(map(cpu_seconds, stack.car_protocols)),
        own.ru_utime + own.ru_stime,
        tree_cpu_seconds(stack.postgres),
        cpu_seconds(stack.valkey),
    )


def _rows_of_messages(port: int) -> float:
    """A message that was sampled as well has two rows, and counts once."""
    return metric(port, "ovms_rows_written_total") - metric(port, "ovms_samples_written_total")


def _run(messages: int, seconds: float, before: Sequence[float], after: Sequence[float]) -> MessageRun:
    rows, *busy = (late - early for early, late in zip(before, after, strict=True))
    return MessageRun(messages, seconds, rows, *(processor / seconds for processor in busy))
