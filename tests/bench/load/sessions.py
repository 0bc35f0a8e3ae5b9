"""Cars and apps that log in, many at once. Their part is prepared beforehand: it costs little more than its system calls.

Connecting to this machine does not wait: the kernel answers before the server accepts. Cars have many addresses, of which this
machine has as many as one likes: otherwise the ports of one would be used up, each for a minute after its connection.
"""

import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import Final

from bench.errors import BenchError
from bench.load.fleet import Account
from bench.stack import HOST
from ovms.errors import ProtocolError
from ovms.identity import Role
from ovms.protocol.cipher import Rc4Lines, prove, session_key
from ovms.protocol.welcome import read_answer, write_welcome

AT_ONCE: Final = 200
PATIENCE: Final = 30.0
ADDRESSES: Final = 200

_TOKEN: Final = b"AbCdEfGhIjKlMnOpQrStUv"
_numbers: Final = count()


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A connection, the server's answer to its welcome, and what has come with the answer."""

    account: Account
    connection: socket.socket
    answer: bytes
    rest: bytes

    def cipher(self) -> Rc4Lines:
        """The session's cipher.

        Raises:
            BenchError: the server did not prove the password.
        """
        try:
            token, digest = read_answer(self.answer)
        except ProtocolError as error:
            raise BenchError(f"{self.account.vehicle_id}: {error}: {self.answer!r}") from None
        if digest != prove(self.account.password, token):
            raise BenchError(f"{self.account.vehicle_id}: the server's digest is wrong")
        return Rc4Lines(session_key(self.account.password, token, _TOKEN))


def own_address() -> tuple[str, int]:
    """Where the next connection comes from."""
    return f"127.0.1.{1 + next(_numbers) % ADDRESSES}", 0


def welcomes(accounts: Sequence[Account], role: Role = Role.CAR) -> list[tuple[Account, bytes]]:
    """The first lines of cars, or of their apps."""
    return [(car, write_welcome(role, _TOKEN, car.password, car.vehicle_id)) for car in accounts]


def log_in(
    ports: Sequence[int], prepared: Sequence[tuple[Account, bytes]], *, stay: bool, at_once: int = AT_ONCE
) -> list[LoggedIn]:
    """Log cars in, so many at a time and each at the next port; each is closed at once unless they are to stay.

    Raises:
        BenchError: the server closed a connection before its answer, or is silent.
    """
    asking: dict[int, tuple[Account, socket.socket]] = {}
    done: list[LoggedIn] = []
    coming = iter(zip(prepared, cycle(ports)))
    with closing(select.epoll()) as poll:
        _connect(islice(coming, at_once), asking, poll)
        while asking:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise BenchError(f"{len(asking)} logins have no answer after {PATIENCE:g} s")
            for handle, _ in ready:
                account, connection = asking.pop(handle)
                poll.unregister(handle)
                answer, _, rest = connection.recv(4096).partition(b"\n")
                done.append(LoggedIn(account, connection, answer, rest))
                if not stay:
                    connection.close()
            _connect(islice(coming, len(ready)), asking, poll)
    return done


def close(sessions: Sequence[LoggedIn]) -> None:
    """End them."""
    for session in sessions:
        session.connection.close()


def _connect(
    cars: Iterator[tuple[tuple[Account, bytes], int]],
    asking: dict[int, tuple[Account, socket.socket]],
    poll: select.epoll,
) -> None:
    for (account, welcome), port in cars:
        connection = socket.create_connection((HOST, port), timeout=PATIENCE, source_address=own_address())
        connection.sendall(welcome)
        asking[connection.fileno()] = (account, connection)
        poll.register(connection, select.EPOLLIN)
