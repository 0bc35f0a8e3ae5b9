"""What one line can be: a welcome, an answer, base64, a message of either scheme, a vehicle id."""

from contextlib import suppress
from dataclasses import replace

from ovms.errors import BadWelcome, IdentityError, LineTooLong, Undecodable, UnsupportedScheme
from ovms.identity import Role, check_vehicle_id, fold_vehicle_id
from ovms.protocol import Login, UserLogin
from ovms.protocol.cipher import Lines, PlainLines, Rc4Lines, read_base64, write_base64
from ovms.protocol.lines import LineBuffer
from ovms.protocol.welcome import read_answer, read_welcome, write_answer, write_welcome

KEY = b"0123456789abcdef"
LIMIT = 64


def check(data: bytes) -> None:
    _cut(data)
    for line in data.split(b"\n"):
        _read_welcome(line)
        _read_answer(line)
        _read_text(line)
        _open(PlainLines(), PlainLines(), line)
        _open(Rc4Lines(KEY), Rc4Lines(KEY), line)
        _carry(line)


def _cut(data: bytes) -> None:
    """However they arrive, the lines are the same, and nothing is kept beyond the limit."""
    whole, pieces = LineBuffer(LIMIT), LineBuffer(LIMIT)
    expected = data.split(b"\n")
    try:
        assert whole.feed(data) == expected[:-1]
    except LineTooLong:
        assert max(map(len, expected)) > LIMIT
    cut = []
    try:
        for index in range(len(data)):
            cut += pieces.feed(data[index : index + 1])
            assert len(pieces._partial or b"") <= LIMIT
        assert cut == expected[:-1]
    except LineTooLong:
        assert cut == expected[: len(cut)]
        assert len(expected[len(cut)]) > LIMIT


def _read_welcome(line: bytes) -> None:
    try:
        request = read_welcome(line)
    except (BadWelcome, UnsupportedScheme):
        return
    if isinstance(request, Login):
        request.proves(b"secret")
        assert b" " not in request.token
        again = read_welcome(write_welcome(request.role, request.token, b"secret", "DEMO"))
        assert isinstance(again, Login)
        assert again.proves(b"secret")
    if isinstance(request, Login | UserLogin):
        assert isinstance(request.role, Role)
        fold_vehicle_id(request.vehicle_id).encode()
        with suppress(IdentityError):
            check_vehicle_id(request.vehicle_id)
    if isinstance(request, UserLogin):
        assert repr(request) == repr(replace(request, password="another"))


def _read_answer(line: bytes) -> None:
    with suppress(BadWelcome):
        token, _ = read_answer(line)
        read_answer(write_answer(token, b"secret"))


def _read_text(line: bytes) -> None:
    with suppress(Undecodable):
        read_base64(line)
    assert read_base64(write_base64(line)) == line == read_base64(write_base64(line).rstrip(b"="))


def _open(ours: Lines, theirs: Lines, line: bytes) -> None:
    try:
        message = ours.open(line)
    except Undecodable:
        return
    assert message[0] > 0x20
    assert b"\n" not in message
    sealed = ours.seal(message)
    assert sealed.endswith(b"\r\n")
    theirs.seal(message)
    # Only the RC4 stream of the reader has moved, so a fresh end reads what was sealed first.
    fresh: Lines = PlainLines() if isinstance(ours, PlainLines) else Rc4Lines(KEY)
    if not isinstance(ours, PlainLines) or (not message.endswith(b"\r") and not message.startswith(b"MP-0 ")):
        assert fresh.open(sealed.removesuffix(b"\n")) == message


def _carry(line: bytes) -> None:
    """Whatever a message holds, the other end of a cipher gets what a reader may get, or refuses it."""
    ours, theirs = Rc4Lines(KEY), Rc4Lines(KEY)
    for text in (line, b"S" + line):
        sealed = ours.seal(text)
        assert sealed.count(b"\n") == 1
        try:
            assert theirs.open(sealed.removesuffix(b"\n")) == text
        except Undecodable:
            assert not text or text[0] <= 0x20
