"""Callers of an HTTP server, each on a connection that stays open, with one request at a time."""

import select
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

from bench.errors import BenchError
from bench.load.fleet import OWNER_PASSWORD, Account
from bench.stack import HOST

PATIENCE: Final = 10.0
WARM_UP: Final = 0.2
"""A part of the time, before: statements are prepared, caches are warm."""

_LENGTH: Final = b"content-length: "
_BODY: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of asking for some seconds."""

    a_second: float
    bodies: Sequence[bytes]
    """The last of each caller."""


def sign_in(port: int, account: Account) -> str:
    """The cookie of a new session of a car's owner."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{HOST}:{port}/api/cookie?{credential(account)}", timeout=PATIENCE) as answer:
        return str(answer.headers["Set-Cookie"])


def credential(account: Account) -> str:
    """User and password of a car's owner as they stand in a URL."""
    return urllib.parse.urlencode({"username": account.owner, "password": OWNER_PASSWORD})


def request(port: int, path: str, cookie: str = "") -> bytes:
    """A request of some path."""
    session = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{session}\r\n".encode()


def ask(port: int, requests: Sequence[bytes], seconds: float) -> Answers:
    """Ask for so many seconds, each request by a caller of its own.

    Raises:
        BenchError: an answer is not 200, or none comes.
    """
    with ExitStack() as stack:
        callers = [_Caller(stack.enter_context(_connect(port)), one) for one in requests]
        _ask(callers, seconds * WARM_UP)
        began = time.perf_counter()
        answers = _ask(callers, seconds)
        return Answers(answers / (time.perf_counter() - began), [caller.body for caller in callers])


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE)


class _Caller:
    """One of them."""

    def __init__(self, connection: socket.socket, request: bytes) -> None:
        self._connection = connection
        self._request = request
        self.handle = connection.fileno()
        self.body = b""

    def ask(self) -> None:
        """Ask once more."""
        self._connection.sendall(self._request)

    def read(self) -> None:
        """Read one whole answer."""
        received = self._connection.recv(65536)
        if not received.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"an answer begins with {received[:40]!r}")
        while (end := received.find(_BODY)) < 0:
            received += self._connection.recv(65536)
        place = received.lower().index(_LENGTH, 0, end + 2) + len(_LENGTH)
        length = int(received[place : received.index(b"\r", place)])
        while len(received) < end + len(_BODY) + length:
            received += self._connection.recv(65536)
        self.body = received[end + len(_BODY) :]


def _ask(callers: Sequence[_Caller], seconds: float) -> int:
    """Ask until the time is over and every answer has come."""
    by_handle = {caller.handle: caller for caller in callers}
    ends, answers, open_questions = time.perf_counter() + seconds, 0, len(callers)
    with closing(select.epoll()) as poll:
        for caller in callers:
            poll.register(caller.handle, select.EPOLLIN)
            caller.ask()
        while open_questions:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise BenchError(f"no answer within {PATIENCE:g} s")
            goes_on = time.perf_counter() < ends
            for handle, _ in ready:
                by_handle[handle].read()
                answers += 1
                if goes_on:
                    by_handle[handle].ask()
                else:
                    open_questions -= 1
    return answers
