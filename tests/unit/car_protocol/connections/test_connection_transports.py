"""A connection inside TLS and inside a WebSocket."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from websockets.frames import Close, Frame, Opcode

from car_protocol.connections.connection import HARD_BUFFER, Connection
from car_protocol.server import Server
from fakes.loops import FakeLoop
from fakes.rooms import vehicle
from fakes.servers import FakeDesk, make_server
from fakes.transports import FakeTransport

UPGRADE = (
    b"GET /apiv2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
USER = b"MP-A 1 anna secret *"
FAREWELL = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=False)


def frame(data: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, data).serialize(mask=True)


class TlsTransport(FakeTransport):
    """A transport that seals what is written."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return object() if name == "ssl_object" else super().get_extra_info(name, default)


def connect(server: Server, transport: FakeTransport) -> Connection:
    connection = Connection(server)
    connection.connection_made(cast("Any", transport))
    return connection


def asked(server: Server) -> int:
    return len(cast("FakeDesk", server.users).asked)


@pytest.fixture
def server() -> Server:
    return make_server(loop=FakeLoop(), write_buffer=1000)


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def socket(server: Server, transport: FakeTransport) -> Connection:
    """A connection whose peer has a WebSocket."""
    connection = connect(server, transport)
    connection.data_received(UPGRADE)
    assert transport.writes.pop().startswith(b"HTTP/1.1 101 ")
    return connection


def enter(connection: Connection, server: Server) -> None:
    """Log a user in, as the desks let him."""
    connection.data_received(frame(USER))
    room = server.hub.room(vehicle())
    connection.enter_user(room, "anna", ["DEMO"])
    connection.hold_back()
    server.hub.join_watcher(room, connection, server.loop.time())
    connection.release([b"Z0", b"T5"])


# ---- scheme 1


WARNING = "a user logs in without TLS: his password can be read on its way"


@pytest.mark.parametrize("in_clear", [True, False])
def test_users_without_tls_are_let_in_where_a_setting_says_so(*, in_clear: bool) -> None:
    server, transport = make_server(user_login_in_clear=in_clear), FakeTransport()
    with capture_logs() as logs:
        connect(server, transport).data_received(USER + b"\r\n")
    assert asked(server) == in_clear
    assert (transport.writes, transport.is_closed) == ([], not in_clear)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [WARNING] * in_clear


@pytest.mark.parametrize("in_clear", [True, False])
def test_users_with_tls_are_always_let_in(*, in_clear: bool) -> None:
    server, transport = make_server(user_login_in_clear=in_clear), TlsTransport()
    with capture_logs() as logs:
        connect(server, transport).data_received(USER + b"\r\n")
    assert (asked(server), transport.is_closed, logs) == (1, False, [])


def test_who_has_logged_in_counts_no_more_for_its_network(server: Server, socket: Connection) -> None:
    server.shares.enter(("192.0.2.1", 50000))
    enter(socket, server)
    assert not server.shares._counts


# ---- WebSocket


def test_lines_go_out_in_frames(server: Server, transport: FakeTransport, socket: Connection) -> None:
    enter(socket, server)
    socket.data_received(frame(b"A"))
    cast("FakeLoop", server.loop).advance(0)
    lines = [b"MP-S 1 anna DEMO DEMO", b"Z0", b"T5", b"a"]
    assert b"".join(transport.writes) == b"".join(Frame(Opcode.TEXT, line).serialize(mask=False) for line in lines)


def test_what_came_with_the_close_is_acted_on_and_not_answered(
    server: Server, transport: FakeTransport, socket: Connection
) -> None:
    enter(socket, server)
    transport.writes.clear()
    socket.data_received(frame(b"A") + frame(Close(1000, "").serialize(), Opcode.CLOSE))
    assert transport.writes == [FAREWELL]
    assert transport.is_closed
    assert socket.is_gone
    assert server.counters.closed == {"WebSocketClosed": 1}
    # TLS may hand on what came meanwhile.
    socket.data_received(frame(b"A"))
    socket.connection_lost(None)
    assert transport.writes == [FAREWELL]
    assert not server.connections


def test_who_is_refused_is_told_by_a_close(transport: FakeTransport, socket: Connection) -> None:
    socket.data_received(frame(USER))
    socket.refuse()
    assert (transport.writes, transport.is_closed) == ([FAREWELL], True)


def test_what_is_no_upgrade_is_closed_without_a_byte(server: Server, transport: FakeTransport) -> None:
    connect(server, transport).data_received(UPGRADE.replace(b"/apiv2", b"/"))
    assert (transport.writes, transport.is_closed) == ([], True)
    assert server.counters.closed == {"BadWelcome": 1}


def test_pings_of_a_peer_that_does_not_read_end_it(server: Server, transport: FakeTransport, socket: Connection) -> None:
    socket.pause_writing()
    transport.unread = HARD_BUFFER * 1000
    socket.data_received(frame(b"", Opcode.PING))
    assert not transport.is_aborted
    transport.unread += 1
    socket.data_received(frame(b"", Opcode.PING))
    assert transport.is_aborted
    assert server.counters.closed == {"SlowReader": 1}
