"""Lines out of a stream, however it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.errors import LineTooLong
from ovms.protocol.lines import LineBuffer


def cut(data: bytes, size: int) -> list[bytes]:
    """Data in pieces of a size."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def feed_all(pieces: list[bytes], limit: int = 100) -> list[bytes]:
    buffer = LineBuffer(limit)
    return [line for piece in pieces for line in buffer.feed(piece)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\r\ntwo\r\n"], [b"one\r", b"two\r"]),
        ([b"one\ntwo\n"], [b"one", b"two"]),
        ([b"one\r", b"\ntwo"], [b"one\r"]),
        ([b"o", b"n", b"e", b"\n"], [b"one"]),
        ([b"one\n", b"\n"], [b"one", b""]),
        ([b""], []),
        ([b"one"], []),
        ([b"on", b"e\ntw", b"o\n"], [b"one", b"two"]),
    ],
)
def test_lf_ends_a_line_and_the_cr_before_it_stays(pieces: list[bytes], lines: list[bytes]) -> None:
    assert feed_all(pieces) == lines


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8),
    rest=st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
    size=st.integers(1, 40),
)
def test_the_cuts_of_the_stream_do_not_matter(lines: list[bytes], rest: bytes, size: int) -> None:
    stream = b"".join(line + b"\n" for line in lines) + rest
    assert feed_all(cut(stream, size)) == lines


def test_a_line_as_long_as_the_limit_is_taken() -> None:
    assert feed_all([b"x" * 10 + b"\n"], limit=10) == [b"x" * 10]
    assert feed_all([b"x" * 4, b"x" * 6, b"\n"], limit=10) == [b"x" * 10]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"x" * 11 + b"\n"],
        [b"x" * 11],
        [b"x" * 6, b"x" * 5],
        [b"x" * 6, b"x" * 5 + b"\n"],
        [b"ok\n" + b"x" * 11 + b"\nok\n"],
        [b"ok\n" + b"x" * 11],
    ],
)
def test_a_longer_line_is_refused_finished_or_not(pieces: list[bytes]) -> None:
    with pytest.raises(LineTooLong) as caught:
        feed_all(pieces, limit=10)
    assert caught.value.limit == 10


def test_many_short_lines_at_once_may_be_longer_than_the_limit_together() -> None:
    assert feed_all([b"12345\n" * 100], limit=10) == [b"12345"] * 100


def test_nothing_is_kept_of_a_line_that_is_too_long() -> None:
    buffer = LineBuffer(10)
    for piece in (b"x" * 11, b"x" * 11 + b"\n"):
        with pytest.raises(LineTooLong):
            buffer.feed(piece)
    assert buffer.feed(b"short\n") == [b"short"]


@pytest.mark.parametrize(("size", "rest"), [(1, b""), (3, b"se"), (100, b"se\ncond")])
def test_the_first_line_is_found_however_it_arrives(size: int, rest: bytes) -> None:
    buffer = LineBuffer(10)
    found = [buffer.feed_one(piece) for piece in cut(b"first\r\nse\ncond", size)[: 7 // size + 1]]
    assert next(cut for cut in found if cut) == (b"first\r", rest)


def test_what_came_after_the_first_line_is_returned_as_it_is() -> None:
    buffer = LineBuffer(5)
    assert buffer.feed_one(b"fir") is None
    assert buffer.feed_one(b"st\nand more\nthan the limit") == (b"first", b"and more\nthan the limit")


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 5], [b"x" * 11 + b"\n"]])
def test_a_first_line_that_is_too_long_is_refused(pieces: list[bytes]) -> None:
    buffer = LineBuffer(10)
    for piece in pieces[:-1]:
        assert buffer.feed_one(piece) is None
    with pytest.raises(LineTooLong):
        buffer.feed_one(pieces[-1])
