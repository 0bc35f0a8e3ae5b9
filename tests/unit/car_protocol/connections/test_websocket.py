"""Lines in and out of a WebSocket; the frames are those of RFC 6455 and of another library."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from car_protocol.connections.websocket import HANDSHAKE_LIMIT, WebSocket
from ovms.errors import BadWelcome, LineTooLong, TooManyFrames, WebSocketClosed
from ovms.protocol.server import LINE_LIMITS
from ovms.websockets import CONTROL_FRAMES, EMPTY_FRAGMENTS, LOGIN_BYTES, SMALL, SMALL_FRAGMENTS

# The key, its answer and the frame are those of RFC 6455, sections 1.3 and 5.7.
KEY, ANSWER = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASKED_HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
UNMASKED_HELLO = b"\x81\x05Hello"

HEADERS = {
    b"Host": b"server.example.com",
    b"Upgrade": b"websocket",
    b"Connection": b"keep-alive, Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}
# A browser asks for compression too; it is not given.
BROWSER = {**HEADERS, b"Origin": b"https://example.com", b"Sec-WebSocket-Extensions": b"permessage-deflate"}


LINE_LIMIT = max(LINE_LIMITS.values())


def open_socket(*, limit: int | None = None, clock: Callable[[], float] = lambda: 0.0) -> WebSocket:
    """A socket at a time that stands still; with a limit its peer has logged in."""
    made = WebSocket(clock)
    if limit is not None:
        made.logged_in(limit)
    return made


def head(target: bytes = b"/apiv2", headers: dict[bytes, bytes] = HEADERS, *, method: bytes = b"GET") -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", *(name + b": " + value for name, value in headers.items())]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """A frame of a client."""
    return Frame(opcode, data, fin).serialize(mask=True)


def text(data: bytes, *, fin: bool = True) -> bytes:
    return frame(Opcode.TEXT, data, fin=fin)


def sent(opcode: Opcode, data: bytes) -> bytes:
    """A frame of the server."""
    return Frame(opcode, data).serialize(mask=False)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def feed(websocket: WebSocket, data: bytes, size: int = 1 << 20) -> bytes:
    return b"".join(map(websocket.receive, pieces(data, size)))


@pytest.fixture
def websocket() -> WebSocket:
    """One that is open, whose peer has logged in."""
    made = open_socket(limit=LINE_LIMIT)
    made.receive(head())
    assert made.data_to_send()
    return made


# ---- the handshake


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("headers", [HEADERS, BROWSER])
@pytest.mark.parametrize("target", [b"/apiv2", b"/apiv2/", b"/apiv2?version=1"])
def test_the_handshake(target: bytes, headers: dict[bytes, bytes], size: int) -> None:
    websocket = open_socket()

    assert feed(websocket, head(target, headers), size) == b""

    status, *fields = websocket.data_to_send().split(b"\r\n")
    assert status == b"HTTP/1.1 101 Switching Protocols"
    assert b"Sec-WebSocket-Accept: " + ANSWER in fields
    assert not [field for field in fields if field.lower().startswith(b"sec-websocket-extensions")]
    assert websocket.failure is None


@pytest.mark.parametrize("size", [1, 4096])
def test_the_handshake_with_lines_that_end_in_lf(size: int) -> None:
    websocket = open_socket()
    feed(websocket, head().replace(b"\r\n", b"\n"), size)
    assert websocket.data_to_send().startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize(
    "request_head",
    [
        head(b"/"),
        head(b"/apiv3"),
        head(b"/apiv2/more"),
        head(b"/other?/apiv2"),
        head(b"http://server.example.com/apiv2"),
        head(method=b"GETS"),
        *(head(headers={name: value for name, value in HEADERS.items() if name != left_out}) for left_out in HEADERS),
        head(headers={**HEADERS, b"Sec-WebSocket-Version": b"8"}),
        head(headers={**HEADERS, b"Upgrade": b"h2c"}),
        head(headers={**HEADERS, b"Host": b"\xff"}),
        head(headers={**HEADERS, b"Host": b"xn--\xfc"}),
        b"GARBAGE\r\n\r\n",
        b"G\r\n\r\n",
        b"G\n\n\n\n",
    ],
)
def test_what_is_no_upgrade_to_our_path_is_not_answered(request_head: bytes, size: int) -> None:
    websocket = open_socket()
    assert feed(websocket, request_head, size) == b""
    assert isinstance(websocket.failure, BadWelcome)
    assert websocket.data_to_send() == b""


def filled_up_to(length: int) -> bytes:
    """A head of so many bytes."""
    missing = length - len(head(headers={**HEADERS, b"X-Fill": b""}))
    return head(headers={**HEADERS, b"X-Fill": b"x" * missing})


@pytest.mark.parametrize("size", [1, 8192])
def test_a_head_may_have_4_kib(size: int) -> None:
    websocket = open_socket()
    # What follows it has limits of its own.
    assert feed(websocket, filled_up_to(HANDSHAKE_LIMIT) + MASKED_HELLO, size) == b"Hello\n"
    assert websocket.failure is None


@pytest.mark.parametrize("size", [1, 8192])
@pytest.mark.parametrize("too_long", [filled_up_to(HANDSHAKE_LIMIT + 1), b"G" * (HANDSHAKE_LIMIT + 1)])
def test_a_longer_head_is_not_read(too_long: bytes, size: int) -> None:
    websocket = open_socket()
    assert feed(websocket, too_long, size) == b""
    assert isinstance(websocket.failure, LineTooLong)
    assert websocket.data_to_send() == b""


# ---- lines in


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_a_frame_is_a_line(opcode: Opcode, size: int) -> None:
    websocket = open_socket()
    stream = head() + MASKED_HELLO + frame(opcode, b"MP-A 1 user pass *") + frame(opcode, b"x" * 200)
    assert feed(websocket, stream, size) == b"Hello\nMP-A 1 user pass *\n" + b"x" * 200 + b"\n"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"A\r\n", b"A\n"),
        (b"A\n", b"A\n"),
        (b"A\r\n\r\n", b"A\n"),
        (b"A\r\nB", b"A\r B\n"),
        (b"", b"\n"),
        ("Pä".encode(), "Pä\n".encode()),
    ],
)
def test_line_ends_are_not_the_frames(websocket: WebSocket, data: bytes, line: bytes) -> None:
    assert websocket.receive(text(data)) == line


def test_binary_frames_need_not_be_utf_8(websocket: WebSocket) -> None:
    assert websocket.receive(frame(Opcode.BINARY, b"\xff\x00")) == b"\xff\x00\n"


@pytest.mark.parametrize("size", [1, 4096])
def test_a_message_in_fragments_with_a_ping_in_between(websocket: WebSocket, size: int) -> None:
    smile = "☺".encode()
    stream = (
        text(b"one " + smile[:1], fin=False)
        + frame(Opcode.PING, b"are you there")
        + frame(Opcode.CONT, smile[1:], fin=False)
        + frame(Opcode.PONG, b"unasked")
        + frame(Opcode.CONT, b" line")
    )
    assert feed(websocket, stream, size) == b"one " + smile + b" line\n"
    assert websocket.data_to_send() == sent(Opcode.PONG, b"are you there")


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("limit", [4096, 65536])
def test_a_message_may_be_as_long_as_its_limit(websocket: WebSocket, limit: int, size: int) -> None:
    websocket.limit = limit
    assert feed(websocket, text(b"x" * websocket.limit), size) == b"x" * websocket.limit + b"\n"
    assert feed(websocket, text(b"x" * (websocket.limit + 1)), size) == b""
    assert isinstance(websocket.failure, LineTooLong)


def test_what_is_announced_to_be_long_is_not_kept_beyond_the_limit(websocket: WebSocket) -> None:
    websocket.limit = 4096
    announced = b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4)
    websocket.receive(announced + b"x" * websocket.limit)
    assert websocket.failure is None
    websocket.receive(b"x")
    assert isinstance(websocket.failure, LineTooLong)
    for _ in range(100):
        assert websocket.receive(b"x" * 4096) == b""
    assert len(websocket._message) <= websocket.limit + 1


def test_fragments_are_bounded_together(websocket: WebSocket) -> None:
    websocket.limit = 4 * SMALL
    websocket.receive(text(b"x", fin=False))
    for _ in range(4):
        assert websocket.receive(frame(Opcode.CONT, b"x" * SMALL, fin=False)) == b""
    assert isinstance(websocket.failure, LineTooLong)
    assert websocket.close() == sent(Opcode.CLOSE, Close(1009, "").serialize())


# ---- frames that cost their sender nothing

CHEAP = {
    "pings": (frame(Opcode.PING, b""), CONTROL_FRAMES),
    "pongs": (frame(Opcode.PONG, b""), CONTROL_FRAMES),
    "empty fragments": (frame(Opcode.CONT, b"", fin=False), EMPTY_FRAGMENTS),
    "fragments of a byte": (frame(Opcode.CONT, b"x", fin=False), SMALL_FRAGMENTS - 1),  # the message begins with one
}
POLICY_VIOLATION = sent(Opcode.CLOSE, Close(1008, "").serialize())


@pytest.mark.parametrize(("cheap", "most"), CHEAP.values(), ids=CHEAP)
def test_a_peer_may_send_so_many_cheap_frames_a_second_and_no_more(cheap: bytes, most: int) -> None:
    now = [0.0]
    websocket = open_socket(limit=LINE_LIMIT, clock=lambda: now[0])
    begun = text(b"x", fin=False)
    feed(websocket, head() + begun + cheap * most)
    assert websocket.failure is None
    now[0] = 1.0
    feed(websocket, cheap * most)
    assert websocket.failure is None
    websocket.data_to_send()
    feed(websocket, cheap * 2)
    assert isinstance(websocket.failure, TooManyFrames)
    websocket.data_to_send()
    assert websocket.close() == POLICY_VIOLATION


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize("cheap", [cheap for cheap, _ in CHEAP.values()], ids=CHEAP)
def test_frames_before_login_have_1_kib_in_all(cheap: bytes, size: int) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += 1.0  # so that no second has too many
        return now[0]

    websocket = open_socket(clock=later)
    begun = text(b"x", fin=False)
    feed(websocket, head() + begun + cheap * ((LOGIN_BYTES - len(begun)) // len(cheap)), size)
    assert websocket.failure is None
    feed(websocket, cheap, size)
    assert isinstance(websocket.failure, TooManyFrames)


def test_what_follows_too_many_frames_is_not_read(websocket: WebSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    handle = websocket._handle
    monkeypatch.setattr(websocket, "_handle", lambda event: (read.append(event), handle(event)))
    websocket.receive(frame(Opcode.PING, b"") * 10_000)
    assert len(read) == CONTROL_FRAMES


# ---- the end


@pytest.mark.parametrize("size", [1, 4096])
def test_what_came_before_a_close_is_heard(websocket: WebSocket, size: int) -> None:
    farewell = frame(Opcode.CLOSE, Close(1000, "").serialize())
    assert feed(websocket, text(b"last words") + farewell + text(b"ghost"), size) == b"last words\n"
    assert isinstance(websocket.failure, WebSocketClosed)
    assert websocket.data_to_send() == sent(Opcode.CLOSE, Close(1000, "").serialize())
    assert websocket.receive(text(b"ghost")) == b""
    assert websocket.frame(b"to nobody\r\n") == b""
    assert websocket.close() == b""


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (UNMASKED_HELLO, 1002),
        (b"\xf1\x80" + bytes(4), 1002),
        (b"\x83\x80" + bytes(4), 1002),
        (frame(Opcode.CONT, b"of nothing"), 1002),
        (b"\x09\x80" + bytes(4), 1002),
        (b"\x89\xfe\x00\x7e" + bytes(4), 1002),
        (frame(Opcode.CLOSE, b"\x00"), 1002),
        (text(b"\xff"), 1007),
    ],
    # Masks are drawn: tests that have them in their names would not be the same at each start.
    ids=[
        "unmasked",
        "reserved bit",
        "unknown data",
        "nothing to continue",
        "control in parts",
        "long ping",
        "half a code",
        "no text",
    ],
)
def test_who_breaks_the_rules_is_told_and_is_out(websocket: WebSocket, wrong: bytes, code: int) -> None:
    assert websocket.receive(text(b"before") + wrong) == b"before\n"
    assert isinstance(websocket.failure, WebSocketClosed)
    answer = websocket.data_to_send()
    assert (answer[0], int.from_bytes(answer[2:4], "big")) == (0x80 | Opcode.CLOSE, code)


def test_we_end_it_with_a_frame(websocket: WebSocket) -> None:
    assert websocket.close() == sent(Opcode.CLOSE, Close(1000, "").serialize())
    assert websocket.close() == b""
    assert websocket.receive(MASKED_HELLO) == b""
    assert websocket.frame(b"to nobody\r\n") == b""


def test_there_is_nothing_to_end_before_it_is_open() -> None:
    websocket = open_socket()
    websocket.receive(head()[:20])
    assert websocket.close() == b""


# ---- lines out


def test_a_line_is_a_text_frame(websocket: WebSocket) -> None:
    assert websocket.frame(b"Hello\r\nMP-S 1 user DEMO\r\n") == UNMASKED_HELLO + sent(Opcode.TEXT, b"MP-S 1 user DEMO")


def test_a_carriage_return_of_a_message_stays(websocket: WebSocket) -> None:
    assert websocket.frame(b"PIone\rtwo\r\r\n") == sent(Opcode.TEXT, b"PIone\rtwo\r")


def test_what_is_not_utf_8_is_replaced(websocket: WebSocket) -> None:
    assert websocket.frame(b"a\xffb\r\n") == sent(Opcode.TEXT, "a\ufffdb".encode())


# ---- anything at all


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The pieces between the cuts."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 1 << 16), max_size=8)
FRAMES = st.lists(
    st.builds(
        frame, st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.CLOSE, Opcode.CONT]), st.binary(max_size=300)
    )
    | st.binary(max_size=40),
    max_size=6,
).map(b"".join)


@given(st.binary(max_size=200) | st.builds(bytes.__add__, st.just(b"GET /apiv2 HTTP/1.1\r\n"), st.binary(max_size=200)), CUTS)
def test_any_head_ends_as_documented(data: bytes, cuts: list[int]) -> None:
    websocket = open_socket()
    for piece in split(data + b"\r\n\r\n", cuts):
        websocket.receive(piece)
    assert websocket.failure is None or isinstance(websocket.failure, BadWelcome | LineTooLong)


@given(FRAMES, CUTS)
def test_any_frames_end_as_documented_however_they_come(stream: bytes, cuts: list[int]) -> None:
    whole, parts = open_socket(), open_socket()
    lines = whole.receive(head() + stream)

    assert b"".join(map(parts.receive, split(head() + stream, cuts))) == lines

    failure = whole.failure
    assert failure is None or isinstance(failure, TooManyFrames | WebSocketClosed)
    assert type(parts.failure) is type(failure)
    whole.close()
    assert whole.frame(b"to nobody\r\n") == b""


@given(
    st.lists(st.text(max_size=50).filter(lambda line: not set(line) & {"\r", "\n"}), max_size=5),
    CUTS,
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
)
def test_lines_come_through(lines: list[str], cuts: list[int], opcode: Opcode) -> None:
    websocket = open_socket()
    stream = head() + b"".join(frame(opcode, line.encode()) for line in lines)

    received = b"".join(map(websocket.receive, split(stream, cuts)))

    assert received == b"".join(line.encode() + b"\n" for line in lines)
    assert websocket.frame(received.replace(b"\n", b"\r\n")) == b"".join(sent(Opcode.TEXT, line.encode()) for line in lines)
