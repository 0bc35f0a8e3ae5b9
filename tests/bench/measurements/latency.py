"""How long a message takes from a car to who watches it, while many cars send at an even pace that keeps nobody busy."""

import base64
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final, Protocol

from bench.errors import BenchError
from bench.load.fleet import OWNER_PASSWORD, Account
from bench.load.lines import TEMPLATES
from bench.load.sessions import LoggedIn, log_in, welcomes
from bench.measurement import Readings, Scene, Size
from bench.percentiles import milliseconds
from bench.stack import HOST
from ovms.identity import Role
from ovms.records.units import FIRST_DATE

RATE: Final = 5.0
"""Messages a car a second."""
PATIENCE: Final = 5.0
LOOK_EVERY: Final = 0.001
UNCOUNTED: Final = 0.2
"""The part of the messages, the first, that are not counted."""

_GET: Final = b"GET /api/v1/vehicles/%b/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %b\r\n\r\n"
# A message carries its number in the end of the last charge, from the first date that is one.
_NUMBER: Final = re.compile(rb'"charge_end":(\d+)')


class _Car:
    """A car, and the lines that it sends."""

    def __init__(self, logged_in: LoggedIn, numbers: range) -> None:
        self.connection = logged_in.connection
        seal = logged_in.cipher().seal
        self._lines = iter([seal(TEMPLATES[0] % (FIRST_DATE + number)) for number in numbers])

    def send(self) -> float:
        """Send the next state message; returns when."""
        line = next(self._lines)
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
        return (int(message.rpartition(b",")[2]) - FIRST_DATE for message in self._messages(data) if message[:1] == b"S")

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
        credential = base64.b64encode(f"{account.owner}:{OWNER_PASSWORD}".encode())
        self.connection.sendall(_GET % (account.vehicle_id.encode(), credential))

    def await_events(self) -> None:
        """Read on until it has been told who is connected."""
        data = b""
        while b"event: presence" not in data:
            data += self.connection.recv(65536)

    def numbers(self, data: bytes) -> Iterator[int]:
        """The numbers of the state messages that have come with this data."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        return (int(found[1]) - FIRST_DATE for line in lines for found in _NUMBER.finditer(line))


def measure_to_app_here(scene: Scene, size: Size) -> Readings:
    """Each car has an app at the same replica."""
    return _to_apps(scene, size, scene.stack.v2_ports[0])


def measure_to_app_elsewhere(scene: Scene, size: Size) -> Readings:
    """Each car has an app at another replica."""
    return _to_apps(scene, size, scene.stack.v2_ports[1])


def measure_to_event_stream(scene: Scene, size: Size) -> Readings:
    """Each car has a client of the HTTP API that hears its events."""
    streams = [_Stream(scene.stack.http_port, account) for account in scene.accounts]
    for stream in streams:
        stream.await_events()
    return _measure(scene, streams, size.latency_seconds)


def _to_apps(scene: Scene, size: Size, port: int) -> Readings:
    apps = [_App(one) for one in _in_order(log_in([port], welcomes(scene.accounts, Role.APP), stay=True))]
    for app in apps:
        app.await_greeting()
    return _measure(scene, apps, size.latency_seconds)


def _in_order(sessions: Sequence[LoggedIn]) -> list[LoggedIn]:
    """As the accounts are, whoever was answered first: each watcher stands at the place of its car."""
    return sorted(sessions, key=lambda session: session.account.vehicle_id)


def _measure(scene: Scene, watchers: Sequence[_Watcher], seconds: float) -> Readings:
    """The cars, at the first replica, have never sent anything."""
    count = int(len(watchers) * RATE * seconds)
    sessions = _in_order(log_in([scene.stack.v2_ports[0]], welcomes(scene.accounts), stay=True))
    cars = [_Car(one, range(place, count, len(sessions))) for place, one in enumerate(sessions)]
    took = _took(cars, watchers, count, count / seconds)
    for connection in [one.connection for one in watchers] + [one.connection for one in cars]:
        connection.close()
    return milliseconds(took[int(count * UNCOUNTED) :])


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
            sent_at += [cars[number % len(cars)].send() for number in range(len(sent_at), due)]
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
