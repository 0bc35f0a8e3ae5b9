"""uvicorn's HTTP/1.1 protocol, adapted to real clients and bounded.

Inwards: request heads are normalized (`heads`) before the parser sees them; head and body are bounded in size and time, and so
is all that is being received together (`held`). A request is not read before the one ahead of it on the connection has been
answered: thousands fit into one piece of what a peer sends.
Outwards: an answer is one write, and `Set-Cookie` is spelled so: uvicorn writes it in lower case, and clients cut it out.
"""

import asyncio
import re
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api_gateway.edge.heads import MixedLineEnds, end_of_head, mend, skip_empty_lines
from api_gateway.edge.held import HeldBytes
from api_gateway.edge.security import raw_fields
from api_gateway.edge.websocket import ABORT

MAX_HEAD: Final = 16 * 1024
MAX_BODY: Final = 16 * 1024
"""No call has a body that needs more, and it is read before the caller is authenticated."""
MAX_AHEAD: Final = 512 * 1024
"""Bytes that may come behind a request before it has been answered; what a socket is read for at once is less."""
LINGER: Final = 2.0

# Where a WebSocket may be asked for; elsewhere the wish is passed over.
_WEBSOCKETS: Final = re.compile(rb"/api/v1/(?:vehicles/[^/?]+/)?events(?:\?|\Z)")

_REASONS: Final = {
    400: b"Bad Request",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
_VERSIONS: Final = ("1.1", "1.0")


class _NotRead(Exception):
    """A request begins behind the last one of a connection."""


class AnswerWriter:
    """A transport for answers: head and body are one write, where both come in one turn of the loop.

    uvloop writes at once what it is given, and a system call is a twentieth of a small answer.
    """

    __slots__ = ("_head", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Write a head, in a moment, or anything else."""
        if self._head:
            data, self._head = self._head + data, b""
            self._transport.write(data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data.replace(b"\r\nset-cookie: ", b"\r\nSet-Cookie: ", 1)
            self._loop.call_soon(self.flush)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write the head of what comes later, such as a stream's events, or of nothing."""
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        """End the connection behind what was written."""
        self.flush()
        self._transport.close()


class EdgeProtocol(HttpToolsProtocol):
    """One HTTP connection: takes heads whole, mends them, refuses what is too large or too slow."""

    head_timeout: ClassVar[float] = 20.0
    body_timeout: ClassVar[float] = 30.0
    refusal_headers: ClassVar[bytes] = b"access-control-allow-origin: *\r\n" + raw_fields()

    def __init__(self, *args: Any, held: HeldBytes, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held = held
        self._held_here = 0
        """Bytes of this connection among those."""
        self._pending = bytearray()
        """A head that is not whole yet."""
        self._later: tuple[bytes, int] | None = None
        """Bytes that came behind a request that is being answered, and where the next request begins in them."""
        self._body_left = 0
        self._chunked = False
        self._body_size = 0
        self._is_left = False
        self._is_last = False
        """Whether the last request of the connection has come: what follows is not read."""
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._writer: AnswerWriter | None = None

    # -- connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._writer = AnswerWriter(transport, self.loop)
        self._expect_by(self.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        self._let_go()
        super().connection_lost(exc)

    # -- bytes in

    def data_received(self, data: bytes) -> None:
        """Cut what comes into heads and bodies and feed the parser with both."""
        self._unset_keepalive_if_required()
        if self._refused or self._is_last:
            return
        if self._later is not None:
            former, at = self._later
            self._read_later(former[at:] + data, 0, come=len(data))
        elif self._pending:
            self._join_pending(data)
        else:
            self._read(data, 0)

    def _read(self, data: bytes, at: int) -> None:
        while at < len(data) and not self._refused and not self._is_last:
            if self._chunked:
                self._feed(data[at:])
                return
            if self._body_left:
                at = self._take_body(data, at)
            elif self.cycle is not None and not self.cycle.response_complete:
                self._read_later(data, at, come=len(data) - at)
                return
            else:
                at = self._take_head(data, at)

    def _read_later(self, data: bytes, at: int, *, come: int) -> None:
        """Read the rest when the request that is being answered has been; until then as little as possible comes."""
        if len(data) - at > MAX_AHEAD:
            self.transport.abort()
        elif self._hold(come):
            self._later = data, at
            self.flow.pause_reading()

    def _join_pending(self, data: bytes) -> None:
        """Read the head that comes in pieces once it is whole, or too long."""
        searched = max(0, len(self._pending) - 2)
        if not self._hold(len(data)):
            return
        self._pending += data
        if len(self._pending) > MAX_HEAD or end_of_head(self._pending, searched) >= 0:
            data = bytes(self._pending)
            self._pending.clear()
            self._let_go()
            self._read(data, 0)

    def _take_head(self, data: bytes, start: int) -> int:
        start = skip_empty_lines(data, start)
        end = end_of_head(data, start)
        if end < 0 or end - start > MAX_HEAD:
            self._wait_for_head(data[start:])
            return len(data)
        if self._deadline:
            self._expect_nothing()
        try:
            head = mend(data[start:end])
        except MixedLineEnds:
            self._refuse(400)
            return end
        self._feed(head)
        if self._is_left:
            if end < len(data):  # the peer sends frames before the handshake has been answered
                self.transport.abort()
            return len(data)
        if self._body_left or self._chunked:
            self._expect_by(self.body_timeout)
        return end

    def _wait_for_head(self, data: bytes) -> None:
        if len(data) > MAX_HEAD:
            self._refuse(431)
        elif self._hold(len(data)):
            self._pending += data
            if self._deadline is None:
                self._expect_by(self.head_timeout)

    def _take_body(self, data: bytes, start: int) -> int:
        piece = data[start : start + self._body_left]
        self._body_left -= len(piece)
        if not self._body_left:
            self._expect_nothing()
        self._feed(piece)
        return start + len(piece)

    def _feed(self, data: bytes) -> None:
        if self._refused or self.parser is None:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self.cycle is not None:
                # No protocol to change to: the request is answered as HTTP/1.1 and the connection ends with it.
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            if not self._is_last:
                self._refuse(400)

    # -- what is held

    def _hold(self, size: int) -> bool:
        """Hold bytes until the request has been answered; where that is too much for the process, reject the request."""
        if not self._held.take(size):
            self._refuse(503)
            return False
        self._held_here += size
        return True

    def _let_go(self) -> None:
        if self._held_here:
            self._held.give_back(self._held_here)
            self._held_here = 0

    # -- parser callbacks

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._is_last:
            raise _NotRead
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Read how long the body is; a request that is invalid or too long is rejected before anything runs."""
        self._body_size = 0
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                self._body_left = int(value)
            elif name == b"transfer-encoding":
                self._chunked = True
        version = self.parser.get_http_version()
        # RFC 9112, 3.2: proxies choose between servers by the Host, so that there must be no doubt which it is.
        if version not in _VERSIONS or hosts > 1 or (not hosts and version != "1.0"):
            self._refuse(400)
            return
        if self._body_left > MAX_BODY:
            self._refuse(413)
            return
        self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.cycle.transport = self._writer  # type: ignore[assignment]
        if self._chunked or self.parser.should_upgrade():
            # Where the next head begins is not seen here then, so there is none.
            self.cycle.keep_alive = False

    def _should_upgrade(self) -> bool:
        """Whether the request begins a WebSocket: no answer may be under way on the connection, nor a body come."""
        is_idle = self.cycle is None or self.cycle.response_complete
        has_body = self._body_left or self._chunked
        return bool(is_idle and not has_body and _WEBSOCKETS.match(self.url) and super()._should_upgrade())

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of WebSockets."""
        self._is_left = True
        super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        """Count what a chunked request sends, and what all requests hold."""
        if self._refused:
            return
        self._body_size += len(body)
        if self._body_size > MAX_BODY:
            self._refuse(413)
        elif self.cycle.response_complete or self._hold(len(body)):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refused:
            return
        if self._chunked:
            self._expect_nothing()
            self._is_last = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Read the next request, where it has come already; this one is no longer held."""
        later, self._later = self._later, None
        self._let_go()
        super().on_response_complete()
        if later is not None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._read(*later)

    # -- refusing

    def _expect_by(self, seconds: float) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(seconds, self._refuse, 408)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        """Answer what the parser or a bound refuses, and close; an answer under way is cut off."""
        if self._refused:
            return
        self._refused = True
        self._expect_nothing()
        cycle = self.cycle
        asked = cycle is not None and not cycle.response_complete
        if asked:
            cycle.disconnected = True
            cycle.message_event.set()
        # An idle connection is closed without a word: an answer to no question would meet the next one.
        silent = (asked and cycle.response_started) or (status == 408 and not asked and not self._pending)
        if silent or self.transport.is_closing():
            self.transport.close()
        else:
            self._say_and_close(_refusal(status, self.refusal_headers))

    def _say_and_close(self, answer: bytes) -> None:
        # Closing with bytes unread resets the connection, and the answer is lost: hear the peer out for a moment.
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline = self.loop.call_later(LINGER, self.transport.close)
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """uvicorn's own refusal, in our form."""
        self._refuse(400)


def _refusal(status: int, headers: bytes) -> bytes:
    reason = _REASONS[status]
    body = reason.capitalize() + b"\n"
    if status == 503:
        headers += b"retry-after: 5\r\n"
    return b"HTTP/1.1 %d %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n%s" % (
        status,
        reason,
        len(body),
        headers,
        body,
    )
