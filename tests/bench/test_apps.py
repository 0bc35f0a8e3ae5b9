"""An app of the benchmark notices what its car has sent and it has not heard."""

import socket
from collections.abc import Iterator, Sequence

import pytest

from bench.errors import BenchError
from bench.load.apps import App
from bench.load.fleet import account
from bench.load.lines import rounds_of
from bench.load.sessions import LoggedIn, welcomes
from ovms.identity import Role
from ovms.protocol.cipher import Rc4Lines, session_key
from ovms.protocol.welcome import write_answer

CAR = account(7)
TOKEN = b"ZYXWVUTSRQPONMLKJIHGFE"
STATES = rounds_of(7, 2)[0]
HEARD = [message for state in STATES for message in (state, b"T0")]


@pytest.fixture
def ends() -> Iterator[tuple[App, socket.socket, Rc4Lines]]:
    """An app, the server's end of its connection, and the server's cipher."""
    [(_, welcome)] = welcomes([CAR], Role.APP)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        app = App(LoggedIn(CAR, ours, write_answer(TOKEN, CAR.password).rstrip(b"\r\n"), b""))
        yield app, theirs, Rc4Lines(session_key(CAR.password, TOKEN, welcome.split()[2]))


def tell(app: App, server: socket.socket, cipher: Rc4Lines, messages: Sequence[bytes]) -> None:
    server.sendall(b"".join(cipher.seal(message) for message in messages))
    app.receive()


def test_what_was_sent_and_what_stands_between_is_right(ends: tuple[App, socket.socket, Rc4Lines]) -> None:
    app, server, cipher = ends

    tell(app, server, cipher, [b"Z1", *HEARD[:2], b"f1.2.3", *HEARD[2:]])

    app.compare(STATES)


def test_a_line_in_two_parts_is_one(ends: tuple[App, socket.socket, Rc4Lines]) -> None:
    app, server, cipher = ends
    data = b"".join(cipher.seal(message) for message in HEARD)

    for part in (data[:50], data[50:]):
        server.sendall(part)
        app.receive()

    app.compare(STATES)


@pytest.mark.parametrize(
    "heard",
    [
        HEARD[:-2],
        HEARD[:-1],
        [*HEARD[2:4], *HEARD[:2], *HEARD[4:]],
        [*HEARD, *HEARD[:2]],
        [HEARD[0] + b"0", *HEARD[1:]],
    ],
    ids=["one misses", "an age misses", "another order", "one twice", "another message"],
)
def test_anything_else_is_wrong(heard: Sequence[bytes], ends: tuple[App, socket.socket, Rc4Lines]) -> None:
    app, server, cipher = ends

    tell(app, server, cipher, heard)

    with pytest.raises(BenchError):
        app.compare(STATES)


def test_an_app_that_is_closed_is_wrong(ends: tuple[App, socket.socket, Rc4Lines]) -> None:
    app, server, _ = ends

    server.close()

    with pytest.raises(BenchError):
        app.receive()
