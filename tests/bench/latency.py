"""How long a message takes from a car to who watches it, while many cars send at an even pace that keeps nobody busy."""

import base64
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import quantiles
from typing import Final, Protocol

from bench.fleet import OWNER, OWNER_PASSWORD, Account
from bench.lines import TEMPLATES
from bench.logins import LoggedIn, log_in, welcomes
from bench.stack import HOST, BenchError
from ovms.identity import Role

PATIENCE: Final = 5.0
LOOK_EVERY: Final = 0.001
UNCOUNTED: Final = 0.2
"""The part of the messages, the first, that are not counted."""

_GET: Final = b"GET /api/v1/vehicles/%b/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %b\r\n\r\n"
_NUMBER: Final = re.compile(rb'"charge_end":(\d+)')


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


class _Watcher(Protocol):
    """Who watches a car."""

    connection: socket.socket

    def numbers(self, data: bytes) -> Iterator[int]:
        """The numbers of the messages that have come with this data."""


class _App:
    """An app, and what it has heard."""

    def __init__(self, logged_in: LoggedIn) -> None:
        self.connection = logged_in.connection
        self._open = logged_in.cipher().open
        self._pending = logged_in.rest

    def _messages(self, data: bytes = b"") -> Iterator[bytes]:
        *lines, self._pending = (self._pending + data).split(b"\n")
        return map(self._open, lines)

    def numbers(self, data: bytes) -> Iterator[int]:
        """The numbers of the state messages that have come with this data."""
        return (int(message.rpartition(b",")[2]) for message in self._messages(data) if message[:1] == b"S")

    def await_greeting(self) -> None:
        """Read on until it has been greeted; its car has never sent anything."""
        data = b""
        while not any(message[:1] == b"T" for message in self._messages(data)):
            data = self.connection.recv(65536)


class _Stream:
    """A client of the HTTP API that hears a car's events."""

    def __init__(self, port: int, account: Account) -> None:
        self.connection = socket.create_connection((HOST, port), timeout=PATIENCE)
        self._pending = b""
        credential = base64.b64encode(f"{OWNER}:{OWNER_PASSWORD}".encode())
        self.connection.sendall(_GET % (account.vehicle_id.encode(), credential))

    def await_events(self) -> None:
        """Read on until it has been told who is connected."""
        data = b""
        while b"event: presence" not in data:
            data += self.connection.recv(65536)

    def numbers(self, data: bytes) -> Iterator[int]:
        """The numbers of the state messages that have come with this data."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        return (int(found[1]) for line in lines for found in _NUMBER.finditer(line))


def measure_event_latency(car_port: int, http_port: int, accounts: Sequence[Account], rate: float, seconds: float) -> Latency:
    """The same with a stream of events in place of each app.

    Raises:
        BenchError: a message does not come.
    """
    streams = [_Stream(http_port, account) for account in accounts]
    for stream in streams:
        stream.await_events()
    return _measure(car_port, streams, accounts, rate, seconds)


def measure_latency(car_port: int, app_port: int, accounts: Sequence[Account], rate: float, seconds: float) -> Latency:
    """Let cars that never sent anything send so many messages a second, each to an app of its own.

    Raises:
        BenchError: a message does not come.
    """
    apps = [_App(one) for one in log_in([app_port], welcomes(accounts, Role.APP), stay=True)]
    for app in apps:
        app.await_greeting()
    return _measure(car_port, apps, accounts, rate, seconds)


def _measure(car_port: int, watchers: Sequence[_Watcher], accounts: Sequence[Account], rate: float, seconds: float) -> Latency:
    cars = [_Car(one) for one in log_in([car_port], welcomes(accounts), stay=True)]
    count = int(len(cars) * rate * seconds)
    took = _took(cars, watchers, count, count / seconds)
    for one in (*watchers, *cars):
        one.connection.close()
    percentiles = quantiles((seconds * 1e6 for seconds in took[int(count * UNCOUNTED) :]), n=100)
    return Latency(percentiles[49], percentiles[98])


def _took(cars: Sequence[_Car], watchers: Sequence[_Watcher], count: int, rate: float) -> list[float]:
    """Send so many messages at a rate; how long it took until each had come, or one that the same car has sent since."""
    sent_at: list[float] = []
    took = [0.0] * count
    heard, began = 0, time.perf_counter()
    by_handle = {watcher.connection.fileno(): watcher for watcher in watchers}
    next_of = {handle: place for place, handle in enumerate(by_handle)}
    with closing(select.epoll()) as poll:
        for handle in by_handle:
            poll.register(handle, select.EPOLLIN)
        while heard < count:
            due = min(count, int((time.perf_counter() - began) * rate))
            sent_at += [cars[number % len(cars)].send(number) for number in range(len(sent_at), due)]
            ready = poll.poll(LOOK_EVERY if due < count else PATIENCE)
            if not ready and due == count:
                raise BenchError(f"{count - heard} messages have not come")
            for handle, _ in ready:
                data, now = by_handle[handle].connection.recv(65536), time.perf_counter()
                for newest in by_handle[handle].numbers(data):
                    for number in range(next_of[handle], newest + 1, len(cars)):
                        took[number] = now - sent_at[number]
                        heard += 1
                    next_of[handle] = newest + len(cars)
    return took
