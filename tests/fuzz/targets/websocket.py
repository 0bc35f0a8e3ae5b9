"""`WebSocket`: any bytes, and frames of any kind around any bytes."""

import struct

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from car_protocol.connections.websocket import HANDSHAKE_LIMIT, WebSocket
from fuzz.script import FLOOD, read_steps
from ovms.errors import ProtocolError
from ovms.protocol.server import LINE_LIMITS

LIMIT = max(LINE_LIMITS.values())
MASK = b"\x37\xfa\x21\x3d"


def frame(first_byte: int, payload: bytes) -> bytes:
    """A masked frame: FIN and opcode are in its first byte."""
    size = len(payload)
    if size < 126:
        head = bytes([first_byte, 0x80 | size])
    elif size < 65_536:
        head = struct.pack("!BBH", first_byte, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first_byte, 0x80 | 127, size)
    mask = (MASK * (size // 4 + 1))[:size]
    return head + MASK + (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


class Browser:
    """The other end, which believes only what is right."""

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.CLIENT)
        self.request = self._connection.send(Request(host="localhost", target="/apiv2"))
        self.is_open = False

    def hear(self, data: bytes) -> None:
        """What is not right raises."""
        if data:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self.is_open = self.is_open or isinstance(event, AcceptConnection)


class Talking:
    """A WebSocket and what has been seen of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.socket = WebSocket(lambda: self.now)
        self.browser: Browser | None = None
        self.has_begun = self.has_failed = False

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        self.has_begun = True
        lines = self.socket.receive(data)
        assert not (self.has_failed and lines), "a line after the end"
        assert not lines or lines.endswith(b"\n")
        for line in lines.split(b"\n")[:-1]:
            assert len(line) <= self.socket.limit
        assert self.socket.failure is None or isinstance(self.socket.failure, ProtocolError)
        # A traceback would hold the socket and the data, until garbage is collected.
        assert self.socket.failure is None or self.socket.failure.__traceback__ is None
        self.has_failed = self.socket.failure is not None
        assert self.has_failed or len(self.socket._head) <= HANDSHAKE_LIMIT
        assert self.has_failed or len(self.socket._message) <= self.socket.limit
        self.tell(self.socket.data_to_send())

    def shake_hands(self) -> None:
        """As a browser does it; what came before makes that another request."""
        if not self.has_begun:
            self.browser = Browser()
            self.receive(self.browser.request)
            assert self.browser.is_open
            assert not self.has_failed

    def send(self, data: bytes) -> None:
        """Our own lines, as a session makes them."""
        if self.socket._is_open:
            lines = b"".join(line + b"\r\n" for line in data.split(b"\r\n") if line)
            framed = self.socket.frame(lines)
            assert not (self.has_failed and framed)
            self.tell(framed)

    def close(self) -> None:
        """We end it."""
        self.tell(self.socket.close())
        self.has_begun = self.has_failed = True

    def tell(self, data: bytes) -> None:
        """What goes out is right, and nothing does before the handshake."""
        assert self.socket._is_open or not data
        if self.browser is not None:
            self.browser.hear(data)


def check(data: bytes) -> None:
    talking = Talking()
    for letter, given in read_steps(data):
        match letter:
            case "r":
                talking.receive(given)
            case "h":
                talking.shake_hands()
            case "l":
                # It grows at the login, and never shrinks.
                talking.socket.logged_in(max(talking.socket.limit, int.from_bytes(given[:3], "big") % LIMIT))
            case "t":
                talking.now += 1.0
            case "f":
                talking.receive(frame(given[0] if given else 0x81, given[1:]))
            case "b":
                talking.receive(frame(given[0] if given else 0x82, given[1:512] * FLOOD))
            case "s":
                talking.send(given)
            case "c":
                talking.close()
