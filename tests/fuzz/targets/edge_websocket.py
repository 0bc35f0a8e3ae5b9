"""`EdgeWebSocket`: any bytes and frames of a peer, at any time, before and after its caller is known."""

from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request

from api_gateway.edge.websocket import LOGGED_IN, MESSAGES, EdgeWebSocket
from fakes.transports import FakeTransport
from fuzz.script import FLOOD, read_steps
from fuzz.targets.websocket import frame
from ovms.websockets import LOGIN_BYTES

FRAME_HEAD = 6
"""Bytes of the head of the smallest frame that a client may send."""


class Loop:
    """A loop whose time the fuzzer turns; what is to be run in it is not."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any) -> Any:
        coroutine.close()
        return self

    def call_later(self, *_: Any) -> Any:
        return self

    def add_done_callback(self, _: Any) -> None: ...

    def cancel(self) -> None: ...


class Upgraded:
    """A WebSocket that is open, and what has been seen of it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.transport = FakeTransport()
        config = Config(app=cast("Any", lambda: None), ws_max_size=16 * 1024, ws_per_message_deflate=False)
        self.protocol = EdgeWebSocket(config, ServerState(), {}, _loop=cast("Any", self.loop))
        self.protocol.connection_made(cast("Any", self.transport))
        self.protocol.data_received(WSConnection(ConnectionType.CLIENT).send(Request(host="localhost", target="/")))
        self.protocol.queue.get_nowait()
        self.protocol.transport.write(self.protocol.conn.send(AcceptConnection()))
        self.protocol.handshake_complete = True
        self.is_known = False

    def receive(self, data: bytes) -> None:
        """Bytes have come; nobody reads what they say."""
        waiting = self.protocol.queue.qsize()
        if not self.transport.is_closed:
            self.protocol.data_received(data)
        most = MESSAGES if self.is_known else LOGIN_BYTES // FRAME_HEAD
        assert self.protocol.queue.qsize() - waiting <= most + 1  # and its end


def check(data: bytes) -> None:
    upgraded = Upgraded()
    for letter, given in read_steps(data):
        match letter:
            case "r":
                upgraded.receive(given)
            case "f":
                upgraded.receive(frame(given[0] if given else 0x81, given[1:]))
            case "b":
                upgraded.receive(frame(given[0] if given else 0x89, given[1:126]) * FLOOD)
            case "k":
                cast("Any", upgraded.protocol.scope)[LOGGED_IN]()
                upgraded.is_known = True
            case "t":
                upgraded.loop.now += 1.0
