"""How long a message takes from a car to its app, while many cars send at an even pace that keeps nobody busy."""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from bench.fleet import Account
from bench.lines import TEMPLATES
from bench.logins import LoggedIn, log_in, welcomes
from bench.stack import BenchError
from ovms.identity import Role

PATIENCE: Final = 5.0
LOOK_EVERY: Final = 0.001
UNCOUNTED: Final = 0.2
"""The part of the messages, the first, that are not counted."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Microseconds within which so many of a hundred messages have come."""

    half: float
    ninety_nine: float


class _Car:
    """A car, and when it sent what."""

    def __init__(self, logged_in: LoggedIn) -> None:
        self.connection = logged_in.connection
        self._seal = logged_in.cipher().seal

    def send(self, number: int) -> float:
        """Send a state message; returns when."""
        line = self._seal(TEMPLATES[0] % number)
        now = time.perf_counter()
        self.connection.sendall(line)
        return now


class _App:
    """An app, and what it has heard."""

    def __init__(self, logged_in: LoggedIn) -> None:
        self.connection = logged_in.connection
        self._open = logged_in.cipher().open
        self._pending = logged_in.rest

    def messages(self, data: bytes = b"") -> Iterator[bytes]:
        """The messages that have come, with this data."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        return map(self._open, lines)

    def await_greeting(self) -> None:
        """Read on until it has been greeted; its car has never sent anything."""
        data = b""
        while not any(message[:1] == b"T" for message in self.messages(data)):
            data = self.connection.recv(65536)


def measure_latency(car_port: int, app_port: int, accounts: Sequence[Account], rate: float, seconds: float) -> Latency:
    """Let cars that never sent anything send so many messages a second, each to an app of its own.

    Raises:
        BenchError: a message does not come.
    """
    apps = [_App(one) for one in log_in([app_port], welcomes(accounts, Role.APP), stay=True)]
    for app in apps:
        app.await_greeting()
    cars = [_Car(one) for one in log_in([car_port], welcomes(accounts), stay=True)]
    count = int(len(cars) * rate * seconds)
    took = _took(cars, apps, count, count / seconds)
    for one in (*apps, *cars):
        one.connection.close()
    percentiles = quantiles((seconds * 1e6 for seconds in took[int(count * UNCOUNTED) :]), n=100)
    return Latency(percentiles[49], percentiles[98])


def _took(cars: Sequence[_Car], apps: Sequence[_App], count: int, rate: float) -> list[float]:
    """Send so many messages at a rate; how long each took."""
    sent_at: list[float] = []
    took = [0.0] * count
    heard, began = 0, time.perf_counter()
    by_handle = {app.connection.fileno(): app for app in apps}
    with closing(select.epoll()) as poll:
        for handle in by_handle:
            poll.register(handle, select.EPOLLIN)
        while heard < count:
            due = min(count, int((time.perf_counter() - began) * rate))
            sent_at += [cars[number % len(cars)].send(number) for number in range(len(sent_at), due)]
            ready = poll.poll(LOOK_EVERY if due < count else PATIENCE)
            if not ready and due == count:
                raise BenchError(f"{count - heard} messages have not come to their apps")
            for handle, _ in ready:
                data, now = by_handle[handle].connection.recv(65536), time.perf_counter()
                for number in _numbers(by_handle[handle].messages(data)):
                    took[number] = now - sent_at[number]
                    heard += 1
    return took


def _numbers(messages: Iterator[bytes]) -> Iterator[int]:
    return (int(message.rpartition(b",")[2]) for message in messages if message[:1] == b"S")
