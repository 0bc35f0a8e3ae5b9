"""Listens to many connections at once, and only takes what has come: what it is, is looked at after the clock has stopped."""

import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from bench.errors import BenchError


class Ear(Protocol):
    """Who has a connection to listen to."""

    connection: socket.socket

    def receive(self) -> None:
        """Take what has come."""


class Ears:
    """Some of them.

    Args:
        patience: seconds after which nothing will come any more.
    """

    def __init__(self, ears: Iterable[Ear], *, patience: float = 30.0) -> None:
        self._patience = patience
        self._by_handle = {ear.connection.fileno(): ear for ear in ears}
        self._poll = select.epoll()
        for handle in self._by_handle:
            self._poll.register(handle, select.EPOLLIN)
        self.last_heard = time.perf_counter()

    def hear(self, within: float = 0.0) -> bool:
        """Take what has come, or what comes first within so many seconds; says whether there was anything."""
        ready = self._poll.poll(within)
        for handle, _ in ready:
            self._by_handle[handle].receive()
        if ready:
            self.last_heard = time.perf_counter()
        return bool(ready)

    def hear_until(self, is_over: Callable[[], bool]) -> None:
        """Take what comes until that is so.

        Raises:
            BenchError: nothing comes any more.
        """
        while not is_over():
            if not self.hear(self._patience):
                raise BenchError(f"nothing comes any more after {self._patience:g} s")

    def hear_out(self, quiet: float) -> None:
        """Take what comes until nothing has come for so many seconds."""
        while self.hear(quiet):
            pass

    def close(self) -> None:
        """Hear no more."""
        self._poll.close()
