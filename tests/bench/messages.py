"""Messages a second through the whole path: RC4, storage, publication.

A message counts when it went out on Redis and the newest state of its car and code is in PostgreSQL: the clock stops when the
last publication has come and the last row is committed, and every publication and every row is compared with what was sent.
All lines are enciphered before the clock starts. The server sets the pace: of what was sent only `window` messages may be
unpublished, less than one round of all cars, so that a car's next round never overtakes its former one on the way to a row.
"""

import resource
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from bench.fleet import Account
from bench.lines import CODES, by_code, rounds_of
from bench.logins import LoggedIn, log_in, welcomes
from bench.process import cpu_seconds, metric, tree_cpu_seconds
from bench.rows import Rows
from bench.stack import BenchError, Stack
from bench.subscriber import Subscriber
from ovms.bus.channels import messages_channel


@dataclass(frozen=True, slots=True)
class MessageRun:
    """What a run came to."""

    messages: int
    seconds: float
    rows: float
    """Written by the server: as many as messages where nothing was replaced before it was written."""
    server_cpu: float
    """Cores that the process under test kept busy, as the next ones."""
    load_cpu: float
    postgres_cpu: float
    valkey_cpu: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def measure_messages(stack: Stack, accounts: Sequence[Account], rounds: int, window: int) -> MessageRun:
    """Send rounds from cars that have logged in."""
    cars = log_in(stack.v2_port, welcomes(accounts), stay=True)
    numbers = {car.account.vehicle_id: number for number, car in enumerate(cars)}
    sent = {name: rounds_of(number, rounds) for name, number in numbers.items()}
    buffers = [_encipher(car, sent[car.account.vehicle_id]) for car in cars]
    last = {name: by_code(car_rounds[-1]) for name, car_rounds in sent.items()}
    with closing(Subscriber(stack.valkey_socket, list(numbers))) as subscriber, closing(Rows(stack.database_url)) as rows:
        before, began = _look(stack), time.perf_counter()
        _send(cars, buffers, subscriber, window)
        rows.become(last)
        seconds, after = time.perf_counter() - began, _look(stack)
        _compare(subscriber.heard(), sent)
    for car in cars:
        car.connection.close()
    return _run(len(cars) * rounds * CODES, seconds, before, after)


def _encipher(car: LoggedIn, rounds: Sequence[Sequence[bytes]]) -> list[bytes]:
    seal = car.cipher().seal
    return [b"".join(map(seal, messages)) for messages in rounds]


def _send(cars: Sequence[LoggedIn], buffers: Sequence[Sequence[bytes]], subscriber: Subscriber, window: int) -> None:
    """Send round by round from car to car, as the server keeps up; returns when all is published."""
    sent = 0
    for number in range(len(buffers[0])):
        for car, rounds in zip(cars, buffers, strict=True):
            while sent - subscriber.count > window - CODES:
                subscriber.hear()
            car.connection.sendall(rounds[number])
            sent += CODES
    while subscriber.count < sent:
        subscriber.hear()


def _compare(heard: dict[str, list[bytes]], sent: dict[str, list[list[bytes]]]) -> None:
    if heard != {messages_channel(name): list(chain(*rounds)) for name, rounds in sent.items()}:
        raise BenchError("what was published is not what the cars sent")


def _look(stack: Stack) -> tuple[float, ...]:
    """Rows written, and the processor time taken by everybody, in the order of `MessageRun`."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return (
        metric(stack.health_port, "ovms_rows_written_total"),
        cpu_seconds(stack.car_protocol),
        own.ru_utime + own.ru_stime,
        tree_cpu_seconds(stack.postgres),
        cpu_seconds(stack.valkey),
    )


def _run(messages: int, seconds: float, before: Sequence[float], after: Sequence[float]) -> MessageRun:
    rows, *busy = (late - early for early, late in zip(before, after, strict=True))
    return MessageRun(messages, seconds, rows, *(processor / seconds for processor in busy))
