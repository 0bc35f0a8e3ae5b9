"""An app a car, which keeps what it hears while the clock runs, and deciphers and compares it when it has stopped."""

import socket
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from bench.errors import BenchError
from bench.load.fleet import Account
from bench.load.sessions import LoggedIn, close, log_in, welcomes
from ovms.identity import Role

BUFFER: Final = 1 << 18

_GREETED: Final = b"T"
_BESIDES: Final = b"ZTfa"
"""What is no state: who is connected, ages, the server's version, answers to pings."""


class App:
    """One of them."""

    def __init__(self, session: LoggedIn) -> None:
        self.vehicle_id = session.account.vehicle_id
        self.connection: socket.socket = session.connection
        self._open = session.cipher().open
        self._chunks = [session.rest]

    def receive(self) -> None:
        """Keep what has come."""
        chunk = self.connection.recv(BUFFER)
        if not chunk:
            raise BenchError(f"the app of {self.vehicle_id} was closed")
        self._chunks.append(chunk)

    def messages(self) -> list[bytes]:
        """What has come in whole lines since the last time."""
        *lines, rest = b"".join(self._chunks).split(b"\n")
        self._chunks = [rest]
        return [self._open(line) for line in lines]

    def await_greeting(self) -> None:
        """Read on until it has been greeted; its car must not send meanwhile."""
        while not any(message[:1] == _GREETED for message in self.messages()):
            self.receive()

    def compare(self, sent: Sequence[bytes]) -> None:
        """Look whether it has heard all states that its car has sent, in their order, and an age after each.

        Raises:
            BenchError: it has not.
        """
        messages = self.messages()
        states = [message for message in messages if message[0] not in _BESIDES]
        ages = sum(message[:1] == _GREETED for message in messages)
        if states != list(sent) or ages != len(states):
            raise BenchError(f"what the app of {self.vehicle_id} heard is not what the car has sent")


class Apps:
    """All of them."""

    def __init__(self, ports: Sequence[int], accounts: Sequence[Account]) -> None:
        self._sessions = log_in(ports, welcomes(accounts, Role.APP), stay=True)
        self.apps = [App(session) for session in self._sessions]
        for app in self.apps:
            app.await_greeting()

    def compare(self, sent: Mapping[str, Sequence[Sequence[bytes]]]) -> None:
        """Look whether each has heard the rounds of its car.

        Raises:
            BenchError: one has not.
        """
        for app in self.apps:
            app.compare(list(chain(*sent[app.vehicle_id])))

    def close(self) -> None:
        """End their sessions."""
        close(self._sessions)
