"""Protocol v2 inside a WebSocket (`GET /apiv2`): a frame a line, without its line end.

wsproto does the frames. This is a layer between the socket and the session: bytes of the socket become lines
and lines become bytes of the socket.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

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

from ovms.errors import BadWelcome, LineTooLong, ProtocolError, TooManyFrames, WebSocketClosed
from ovms.websockets import LOGIN_BYTES, TOO_MANY, BoundedWebSocket

PATH: Final = "/apiv2"
HANDSHAKE_LIMIT: Final = 4096
"""Bytes of a request's head: browsers send about 600, and cookies of whatever else is on the host."""

_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")


class WebSocket:
    """One peer's WebSocket. It bounds messages itself, since the session sees them whole only.

    After `receive` send `data_to_send()`, then look at `failure`.

    Args:
        clock: a monotonic one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._connection = BoundedWebSocket(clock)
        self.limit = LOGIN_BYTES
        """Bytes of one message."""
        self.failure: ProtocolError | None = None
        """Why it has ended: BadWelcome, no upgrade to our path; LineTooLong, a head or a message; or one of frames."""
        self._head = bytearray()
        self._is_open = False
        self._lines: list[bytes] = []
        self._message = bytearray()
        self._out: list[bytes] = []

    def logged_in(self, limit: int) -> None:
        """The peer has logged in: its messages may have `limit` bytes from now on."""
        self.limit = limit
        self._connection.lift_login_limit()

    def receive(self, data: bytes) -> bytes:
        """The lines, each with its end, that bytes of the socket complete, also those that came before it failed."""
        if self.failure is None:
            try:
                self._read_frames(data if self._is_open else self._shake_hands(data))
            except ProtocolError as error:
                # With its traceback it would hold this object, and what it has read, until garbage is collected: seldom.
                error.__traceback__ = error.__cause__ = error.__context__ = None
                self.failure = error
        lines = b"".join(self._lines)
        self._lines.clear()
        return lines

    def frame(self, lines: bytes) -> bytes:
        """The text frames that carry lines; nothing once it has ended."""
        if self.failure is not None:
            return b""
        # A text frame must be UTF-8, which what a car sends need not be.
        texts = [line.decode("utf-8", "replace") for line in lines.split(b"\r\n")[:-1]]
        return b"".join(self._connection.send(TextMessage(data=text)) for text in texts)

    def data_to_send(self) -> bytes:
        """Answers to the handshake, pings and closes."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        """What tells the peer that we end it."""
        self.failure = self.failure or WebSocketClosed()
        if self._is_open:
            self._answer(CloseConnection(code=_code(self.failure)))
        return self.data_to_send()

    def _shake_hands(self, data: bytes) -> bytes:
        """Read the head of the request; returns what comes after it, which wsproto would lose."""
        self._head += data
        end = _END_OF_HEAD.search(self._head)
        length = end.end() if end else len(self._head)
        if length > HANDSHAKE_LIMIT:
            raise LineTooLong(HANDSHAKE_LIMIT)
        if not end:
            return b""
        head, rest = bytes(self._head[:length]), bytes(self._head[length:])
        self._head.clear()
        try:
            self._connection.receive_data(head)
        except (RemoteProtocolError, UnicodeError) as error:  # UnicodeError: a Host that is no name
            raise BadWelcome from error
        self._accept(next(self._connection.events(), None))
        return rest

    def _accept(self, request: Event | None) -> None:
        if not isinstance(request, Request) or request.target.partition("?")[0].rstrip("/") != PATH:
            raise BadWelcome
        self._answer(AcceptConnection())
        self._is_open = True

    def _read_frames(self, data: bytes) -> None:
        if data:
            self._connection.receive_data(data)
            for event in self._connection.events():
                self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case TextMessage(data=text, message_finished=finished):
                self._collect(text.encode(), finished=finished)
            case BytesMessage(data=data, message_finished=finished):
                self._collect(bytes(data), finished=finished)
            case Ping():
                self._answer(event.response())
            case CloseConnection():
                self._answer(event.response())
                raise WebSocketClosed
            case _:
                pass

    def _collect(self, data: bytes, *, finished: bool) -> None:
        self._message += data
        if len(self._message) > self.limit:
            raise LineTooLong(self.limit)
        if finished:
            # A frame is one line, so a line end inside is none of ours.
            line = bytes(self._message).rstrip(b"\r\n").replace(b"\n", b" ")
            self._message.clear()
            self._lines.append(line + b"\n")

    def _answer(self, event: Event) -> None:
        with suppress(LocalProtocolError):  # the peer has closed meanwhile: there is nobody to answer
            self._out.append(self._connection.send(event))


def _code(failure: ProtocolError) -> CloseReason:
    match failure:
        case TooManyFrames():
            return TOO_MANY
        case LineTooLong():
            return CloseReason.MESSAGE_TOO_BIG
        case _:
            return CloseReason.NORMAL_CLOSURE
