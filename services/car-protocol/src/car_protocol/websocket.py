"""Protocol v2 inside a WebSocket (`GET /apiv2`): a frame a line, without its line end.

wsproto does the frames. This is a layer between the socket and the session: bytes of the socket become lines
and lines become bytes of the socket.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ovms.errors import BadWelcome, LineTooLong, WebSocketClosed

PATH: Final = "/apiv2"
HANDSHAKE_LIMIT: Final = 4096
LINE_LIMIT: Final = 2 * 1024 * 1024
"""The session has limits of its own; this one bounds a message that comes in pieces, once the peer has logged in."""


class WebSocket:
    """One peer's WebSocket. Set `limit` to what one message may have.

    Every method that takes bytes leaves an answer in `data_to_send`, which must go out also where it raises.
    """

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.SERVER)
        self.limit = HANDSHAKE_LIMIT
        self._handshake = 0
        self._is_open = False
        self._message = bytearray()
        self._out: list[bytes] = []

    def receive(self, data: bytes) -> bytes:
        """The lines, each with its end, that bytes of the socket complete.

        Raises:
            BadWelcome: it is no upgrade to our path.
            LineTooLong: a head or a message is too long.
            WebSocketClosed: the peer has closed, or broken the rules of WebSockets.
        """
        if not self._is_open:
            self._handshake += len(data)
            if self._handshake > HANDSHAKE_LIMIT:
                raise LineTooLong(HANDSHAKE_LIMIT)
        try:
            self._connection.receive_data(data)
            return b"".join(line for event in self._connection.events() for line in self._handle(event))
        except RemoteProtocolError as error:
            if not self._is_open:
                raise BadWelcome from error
            if error.event_hint is not None:
                self._answer(error.event_hint)
            raise WebSocketClosed from error

    def frame(self, lines: bytes) -> bytes:
        """The text frames that carry lines."""
        # A text frame must be UTF-8, which what a car sends need not be.
        texts = [line.decode("utf-8", "replace") for line in lines.split(b"\r\n")[:-1]]
        return b"".join(self._connection.send(TextMessage(data=text)) for text in texts)

    def data_to_send(self) -> bytes:
        """Answers to the handshake, pings and closes."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _handle(self, event: Event) -> Iterator[bytes]:
        match event:
            case Request(target=target):
                if target.partition("?")[0].rstrip("/") != PATH:
                    raise BadWelcome
                self._answer(AcceptConnection())
                self._is_open = True
            case TextMessage(data=text, message_finished=finished):
                yield from self._collect(text.encode("utf-8", "surrogateescape"), finished=finished)
            case BytesMessage(data=data, message_finished=finished):
                yield from self._collect(bytes(data), finished=finished)
            case Ping():
                self._answer(event.response())
            case CloseConnection():
                self._answer(event.response())
                raise WebSocketClosed
            case _:
                pass

    def _collect(self, data: bytes, *, finished: bool) -> Iterator[bytes]:
        self._message += data
        if len(self._message) > self.limit:
            raise LineTooLong(self.limit)
        if finished:
            # A frame is one line, so a line end inside is none of ours.
            line = bytes(self._message).rstrip(b"\r\n").replace(b"\n", b" ")
            self._message.clear()
            yield line + b"\n"

    def _answer(self, event: Event) -> None:
        with suppress(LocalProtocolError):  # the peer has closed meanwhile: there is nobody to answer
            self._out.append(self._connection.send(event))
