"""Protocol v2 inside a WebSocket (`GET /apiv2`): a frame a line, without its line end.

wsproto does the frames. This is a layer between the socket and the session: bytes of the socket become lines
and lines become bytes of the socket.
"""

import re
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
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ovms.errors import BadWelcome, LineTooLong, ProtocolError, WebSocketClosed

PATH: Final = "/apiv2"
HANDSHAKE_LIMIT: Final = 4096

_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")


class WebSocket:
    """One peer's WebSocket. Set `limit` to what one message may have: the session bounds lines, but sees them whole only.

    `receive` leaves answers in `data_to_send`, which must go out also where it raises.
    """

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.SERVER)
        self.limit = HANDSHAKE_LIMIT
        self._head = bytearray()
        self._is_open = False
        self._is_over = False
        self._message = bytearray()
        self._out: list[bytes] = []

    def receive(self, data: bytes) -> bytes:
        """The lines, each with its end, that bytes of the socket complete.

        Raises:
            BadWelcome: it is no upgrade to our path.
            LineTooLong: a head or a message is too long.
            WebSocketClosed: the peer has closed, or broken the rules of WebSockets.
        """
        if self._is_over:
            return b""
        try:
            return self._take(data if self._is_open else self._shake_hands(data))
        except ProtocolError:
            self._is_over = True
            raise

    def frame(self, lines: bytes) -> bytes:
        """The text frames that carry lines."""
        # A text frame must be UTF-8, which what a car sends need not be.
        texts = [line.decode("utf-8", "replace") for line in lines.split(b"\r\n")[:-1]]
        return b"".join(self._connection.send(TextMessage(data=text)) for text in texts)

    def close(self) -> bytes:
        """What tells the peer that we end the WebSocket, where there is one."""
        self._is_over = True
        if self._is_open:
            self._answer(CloseConnection(code=CloseReason.NORMAL_CLOSURE))
        return self.data_to_send()

    def data_to_send(self) -> bytes:
        """Answers to the handshake, pings and closes."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _shake_hands(self, data: bytes) -> bytes:
        """Read the head of the request; returns what comes after it."""
        self._head += data
        end = _END_OF_HEAD.search(self._head)
        if (end.end() if end else len(self._head)) > HANDSHAKE_LIMIT:
            raise LineTooLong(HANDSHAKE_LIMIT)
        if not end:
            return b""
        head, rest = bytes(self._head[: end.end()]), bytes(self._head[end.end() :])
        try:
            self._connection.receive_data(head)
            self._accept(next(self._connection.events(), None))
        except (RemoteProtocolError, UnicodeError) as error:  # UnicodeError: a Host that is no name
            raise BadWelcome from error
        return rest

    def _accept(self, request: Event | None) -> None:
        if not isinstance(request, Request) or request.target.partition("?")[0].rstrip("/") != PATH:
            raise BadWelcome
        self._answer(AcceptConnection())
        self._is_open = True
        self._head.clear()

    def _take(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._connection.receive_data(data)
        return b"".join(line for event in self._connection.events() for line in self._handle(event))

    def _handle(self, event: Event) -> Iterator[bytes]:
        match event:
            case TextMessage(data=text, message_finished=finished):
                yield from self._collect(text.encode(), finished=finished)
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
