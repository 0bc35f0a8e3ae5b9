"""Whatever a stranger sends, reading it takes time in proportion to its size."""

import asyncio
from collections.abc import Callable

import pytest
import uvicorn
from uvicorn.server import ServerState

from api_gateway.auth.credentials import from_authorization, from_query, headers_of, session_id
from api_gateway.edge.addresses import Proxies, read_networks
from api_gateway.edge.heads import end_of_head, mend
from api_gateway.edge.held import HeldBytes
from api_gateway.edge.paths import canonical
from api_gateway.edge.protocol import EdgeProtocol
from api_gateway.edge.request_ids import request_id
from api_gateway.legacy.forms import read_fields
from api_gateway.live.events import read_id
from api_gateway.mqapi.topics import may_use
from api_gateway.v1.answers import is_known
from api_gateway.v1.commands.requests import read_key, read_order, read_wait
from api_gateway.v1.history.cursors import read_cursor
from api_gateway.v1.history.negotiation import choose
from fixtures.linear_time import Reader, check_linear
from fixtures.waiting import until


def multipart(text: bytes, content_type: str = "multipart/form-data; boundary=b") -> Callable[[], object]:
    return lambda: read_fields(("name",), content_type, text, b"")


FORMS: dict[str, Reader] = {
    "quoted semicolons in a type": lambda n: multipart(b"", 'multipart/form-data; boundary="' + ";" * n),
    "semicolons in a type": lambda n: multipart(b"", "multipart/form-data" + ";" * n),
    "quotes in a type": lambda n: multipart(b"", "multipart/form-data; boundary=" + '"' * n),
    "escapes in a type": lambda n: multipart(b"", 'multipart/form-data; boundary="' + '\\"' * (n // 2)),
    "quoted semicolons in a part": lambda n: multipart(
        b'--b\r\nContent-Disposition: form-data; name="' + b";" * n + b"\r\n\r\n\r\n"
    ),
    "quoted semicolons in parts": lambda n: multipart(
        (b'--b\r\nContent-Disposition: form-data; name="' + b";" * 800 + b"\r\n\r\n\r\n") * (n // 850)
    ),
    "parts": lambda n: multipart(b"--b\r\n\r\n\r\n" * (n // 10)),
    "headers of a part": lambda n: multipart(b"--b\r\n" + b"a: b\r\n" * (n // 6)),
    "half boundaries": lambda n: multipart(b"--b\r\n\r\n" + b"\r\n--" * (n // 4)),
    "CRs": lambda n: multipart(b"--b\r\n\r\n" + b"\r" * n),
    "a long boundary": lambda n: multipart(b"-" * n, "multipart/form-data; boundary=" + "-" * 200),
    **{
        f"{text!r} in a form": lambda n, text=text: lambda: read_fields(("a",), "", text * (n // len(text)), b"")  # type: ignore[misc]
        for text in (b"a&", b"a=b&", b"&", b";", b"=", b"%", b"%4", b"%41", b"+", b"\xff", b"{", b'{"a":')
    },
    **{
        f"{text!r} in a query": lambda n, text=text: lambda: read_fields(("a",), "", b"", text * (n // len(text)))  # type: ignore[misc]
        for text in (b"a&", b"a=b&", b"&", b"%", b"%41", b"\xff")
    },
    **{
        f"{text!r} in JSON": lambda n, text=text: (
            lambda: read_fields(  # type: ignore[misc]
                ("a",), "application/json", b'{"a":' + text * (n // len(text)), b""
            )
        )
        for text in (b"1", b"[", b'{"a":', b'"a":1,', b"\\u0000", b'"\\', b" ")
    },
}

HEADERS: dict[str, Callable[[str], object]] = {
    "Cookie": session_id,
    "Cookies": lambda text: headers_of([(b"cookie", text.encode("latin-1"))]),
    "Authorization": from_authorization,
    "Basic": lambda text: from_authorization("Basic " + text),
    "Bearer": lambda text: from_authorization("Bearer " + text),
    "query": lambda text: from_query(b"username=a&password=b&" + text.encode("latin-1")),
    "a password in a query": lambda text: from_query(b"username=a&password=" + text.encode("latin-1")),
    "path": canonical,
    "a legacy path": lambda text: canonical("/api/historical/" + text),
    "Accept": lambda text: choose(text, ("application/json", "text/csv")),
    "a quality": lambda text: choose("text/csv;q" + text, ("application/json", "text/csv")),
    "Prefer": lambda text: read_wait({"prefer": text}),
    "a wait": lambda text: read_wait({"prefer": "wait" + text}),
    "Idempotency-Key": lambda text: read_key({"idempotency-key": text}),
    "Last-Event-ID": lambda text: read_id(text, 1e9),
    "If-None-Match": lambda text: is_known(b'W/"a"', text),
    "X-Request-ID": lambda text: request_id([(b"x-request-id", text.encode("latin-1"))]),
    "X-Forwarded-For": lambda text: Proxies(read_networks("0.0.0.0/0")).address_of(
        {"client": ("192.0.2.1", 1), "headers": [(b"x-forwarded-for", text.encode("latin-1"))]}
    ),
    "cursor": lambda text: read_cursor(text, int, int),
    "topic": lambda text: may_use(text, "ovms/" + text),
    "an order": lambda text: read_order(b'{"kind":' + text.encode("latin-1")),
}
PATTERNS = (
    *(" ", ",", ";", "=", '"', "/", "%", "%41", "a", "9", "\t", "ä", "\\", "[", ":", "."),
    *(
        ", ",
        "; ",
        "a,",
        "a;",
        "a=b;",
        '";',
        '"a",',
        "q=0.0",
        ",wait",
        ", wait=",
        "wait ",
        "192.0.2.1,",
        "/a",
        "a.",
        "a@",
        "token=",
    ),
)

HEADS: dict[str, Callable[[int], bytes]] = {
    "blanks": lambda n: b"GET " + b" " * n + b"\r\n\r\n",
    "blanks before the version": lambda n: b"GET /" + b" " * n + b"HTTP/1.1\r\n\r\n",
    "words": lambda n: b"GET /" + b" a" * (n // 2) + b" HTTP/1.1\r\n\r\n",
    "a word": lambda n: b"G" * n + b" HTTP/1.1\r\n\r\n",
    "bytes above ASCII": lambda n: b"GET /" + b"\xff" * n + b" HTTP/1.1\r\n\r\n",
    "CRs": lambda n: b"GET / HTTP/1.1\r\nA: \xff" + b"\r" * n + b"\r\n\r\n",
    "CRs in lines": lambda n: b"GET / HTTP/1.1\r\n" + b"A\r\r" * (n // 3) + b"\r\n\r\n",
    "LFs": lambda n: b"GET / HTTP/1.1\n" + b"A: b\n" * (n // 5) + b"\n",
    "lines": lambda n: b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (n // 6) + b"\r\n",
}


@pytest.mark.parametrize("what", FORMS)
def test_forms_are_read_in_linear_time(what: str) -> None:
    check_linear(FORMS[what])


@pytest.mark.parametrize("what", HEADERS)
def test_headers_and_targets_are_read_in_linear_time(what: str) -> None:
    read = HEADERS[what]
    for pattern in PATTERNS:

        def reader(size: int, pattern: str = pattern) -> Callable[[], object]:
            text = (pattern * (size // len(pattern)))[:size]
            return lambda: read(text)

        check_linear(reader)


@pytest.mark.parametrize("what", HEADS)
def test_heads_are_normalized_in_linear_time(what: str) -> None:
    make = HEADS[what]

    def reader(size: int) -> Callable[[], object]:
        head = make(size)
        return lambda: (end_of_head(head), mend(head))

    check_linear(reader)


class Peer(asyncio.Transport):
    """The other end of a connection, which takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = self.is_reading_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False


async def nothing(_scope: object, _receive: object, send: Callable[[object], object]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]


def connection(held: HeldBytes | None = None) -> tuple[EdgeProtocol, Peer]:
    config = uvicorn.Config(nothing, lifespan="off", log_config=None)  # type: ignore[arg-type]
    protocol, peer = EdgeProtocol(config, ServerState(), {}, held=held or HeldBytes()), Peer()
    protocol.connection_made(peer)
    return protocol, peer


GET = b"GET / HTTP/1.1\r\nHost:\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAMS: dict[str, Callable[[int], list[bytes]]] = {
    "requests": lambda n: [GET * (n // len(GET))],
    "requests that end in LF": lambda n: [GET.replace(b"\r", b"") * (n // len(GET))],
    "empty lines": lambda n: [b"\r\n\r\n" * (n // 4)],
    "empty lines that end in LF": lambda n: [b"\n" * n],
    "chunks": lambda n: [CHUNKED + b"1\r\nx\r\n" * (n // 6)],
    "requests behind a chunked body": lambda n: [CHUNKED + b"0\r\n\r\n" + GET * (n // len(GET))],
    "a head, byte by byte": lambda n: [b"GET / HTTP/1.1\r\nHost:\r\nA: ", *[b"x"] * (n // 16 - 100)],
    "a head, line by line": lambda n: [b"GET / HTTP/1.1\r\nHost:\r\n", *[b"A:\r\n"] * (n // 64)],
    "requests behind one that is answered, byte by byte": lambda n: [GET, *[b"x"] * (n // 16)],
}


@pytest.mark.parametrize("what", STREAMS)
async def test_a_connection_is_read_in_linear_time(what: str) -> None:
    pieces = STREAMS[what]

    def reader(size: int) -> Callable[[], object]:
        received = pieces(size)

        def read() -> None:
            protocol, _ = connection()
            for piece in received:
                protocol.data_received(piece)
            protocol.connection_lost(None)

        return read

    check_linear(reader, 64 * 1024)


async def test_requests_that_come_at_once_are_read_one_after_the_other() -> None:
    held = HeldBytes(100_000)
    protocol, peer = connection(held)
    protocol.data_received(GET * 1000)
    assert peer.is_reading_paused
    assert len(protocol.server_state.tasks) == 1
    assert not held.take(90_000)
    await until(lambda: peer.written.count(b"HTTP/1.1 204") == 1000)
    assert not peer.is_reading_paused
    assert held.take(100_000)
    protocol.connection_lost(None)


async def test_what_comes_ahead_of_an_answer_is_bounded() -> None:
    protocol, peer = connection()
    for _ in range(3):
        protocol.data_received(GET * 10_000)
    assert peer.closed
    protocol.connection_lost(None)
