"""Requests a second over connections that stay open, one request at a time on each."""

import select
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Final

from bench.fleet import OWNER, OWNER_PASSWORD
from bench.stack import HOST, BenchError

CONNECTIONS: Final = 24
PATIENCE: Final = 10.0

_LENGTH: Final = b"content-length: "
_BODY: Final = b"\r\n\r\n"


def sign_in(port: int) -> str:
    """The cookie of a new session."""
    account = urllib.parse.urlencode({"username": OWNER, "password": OWNER_PASSWORD})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{HOST}:{port}/api/cookie?{account}", timeout=PATIENCE) as answer:
        return str(answer.headers["Set-Cookie"])


def measure_requests(port: int, path: str, cookie: str, seconds: float) -> tuple[float, int]:
    """(Requests a second, bytes of a body) of one path.

    Raises:
        BenchError: an answer is not 200, or none comes.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    with ExitStack() as stack:
        connections = [stack.enter_context(_connect(port)) for _ in range(CONNECTIONS)]
        _ask(connections, request, seconds / 10)  # statements are prepared, caches are warm
        began = time.perf_counter()
        answers, length = _ask(connections, request, seconds)
        return answers / (time.perf_counter() - began), length


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=PATIENCE)


def _ask(connections: Sequence[socket.socket], request: bytes, seconds: float) -> tuple[int, int]:
    """Ask until the time is over and every answer has come."""
    by_handle = {connection.fileno(): connection for connection in connections}
    ends, answers, open_questions, length = time.perf_counter() + seconds, 0, len(connections), 0
    with closing(select.epoll()) as poll:
        for handle, connection in by_handle.items():
            poll.register(handle, select.EPOLLIN)
            connection.sendall(request)
        while open_questions:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise BenchError(f"no answer within {PATIENCE:g} s")
            goes_on = time.perf_counter() < ends
            for handle, _ in ready:
                length = _read_answer(by_handle[handle])
                answers += 1
                if goes_on:
                    by_handle[handle].sendall(request)
                else:
                    open_questions -= 1
    return answers, length


def _read_answer(connection: socket.socket) -> int:
    """Read one whole answer; returns the length of its body."""
    received = connection.recv(65536)
    if not received.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"an answer begins with {received[:40]!r}")
    while (end := received.find(_BODY)) < 0:
        received += connection.recv(65536)
    place = received.lower().index(_LENGTH, 0, end + 2) + len(_LENGTH)
    length = int(received[place : received.index(b"\r", place)])
    while len(received) < end + len(_BODY) + length:
        received += connection.recv(65536)
    return length
