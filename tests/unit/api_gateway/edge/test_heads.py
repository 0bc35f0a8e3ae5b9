"""Request heads of real clients, before and after."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api_gateway.edge.heads import MixedLineEnds, end_of_head, mend, mend_request_line

CLEAN = b"GET /api/status/DEMO HTTP/1.1\r\nHost: x\r\nCookie: ovmsapisession=A\r\n\r\n"


def test_a_clean_head_is_not_copied() -> None:
    assert mend(CLEAN) is CLEAN


@pytest.mark.parametrize(
    ("given_head", "expected"),
    [
        pytest.param(CLEAN.replace(b"=A\r\n", b"=A\r\r\n"), CLEAN, id="stray CR"),
        pytest.param(CLEAN.replace(b"=A\r\n", b"=A\r\r\r\n"), CLEAN, id="two stray CRs"),
        pytest.param(CLEAN.replace(b"\r\n", b"\n"), CLEAN, id="LF alone"),
        pytest.param(
            b"GET /api/cookie?password=\xc3\xa4 HTTP/1.1\r\n\r\n",
            b"GET /api/cookie?password=%C3%A4 HTTP/1.1\r\n\r\n",
            id="raw UTF-8",
        ),
        pytest.param(
            b"GET /api/cookie?password=a b  c HTTP/1.1\r\n\r\n",
            b"GET /api/cookie?password=a%20b%20%20c HTTP/1.1\r\n\r\n",
            id="blanks",
        ),
        pytest.param(b"GET  /api  HTTP/1.0\r\n\r\n", b"GET /api HTTP/1.0\r\n\r\n", id="blanks around"),
        pytest.param(
            b"GET /?p=%zz HTTP/1.1\r\nX: \xe4\r\n\r\n",
            b"GET /?p=%zz HTTP/1.1\r\nX: \xe4\r\n\r\n",
            id="bad escapes and header values stay",
        ),
    ],
)
def test_mended(given_head: bytes, expected: bytes) -> None:
    assert mend(given_head) == expected


@pytest.mark.parametrize("head", [b"GET /\r\n\r\n", b"NONSENSE\r\n\r\n", b"\r\n\r\n", b"GET / FTP/1\r\n\r\n"])
def test_what_is_no_request_line_is_left_to_the_parser(head: bytes) -> None:
    assert mend(head) == head


@pytest.mark.parametrize(
    "head",
    [
        CLEAN.replace(b"=A\r\n", b"=A\n"),
        CLEAN.replace(b"x\r\n", b"x\n"),
        CLEAN.replace(b"1.1\r\n", b"1.1\n"),
        CLEAN.replace(b"\r\n\r\n", b"\r\n\n"),
        CLEAN.replace(b"\r\n\r\n", b"\n\r\n"),
        CLEAN.replace(b"=A\r\n", b"=A\nContent-Length: 3\r\n"),
        CLEAN.replace(b"=A\r\n", b"=A\r\r\nX: a\nContent-Length: 3\r\n"),
    ],
)
def test_a_head_with_two_kinds_of_line_ends_is_rejected(head: bytes) -> None:
    with pytest.raises(MixedLineEnds):
        mend(head)


def test_a_line_of_crs_alone_is_not_made_into_an_end() -> None:
    smuggled = b"GET / HTTP/1.1\r\nA: b\r\n\r\r\nGET /x HTTP/1.1\r\n\r\n"
    assert b"\r\n\r\r\n" in mend(smuggled)
    assert end_of_head(smuggled) == len(smuggled)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"GET / HTTP/1.1\r\n", -1),
        (b"GET / HTTP/1.1\r\n\r", -1),
        (b"GET / HTTP/1.1\r\n\r\nbody\r\n\r\n", 18),
        (b"GET / HTTP/1.1\n\nbody\n\n", 16),
    ],
)
def test_end_of_head(data: bytes, end: int) -> None:
    assert end_of_head(data) == end


@given(st.binary(max_size=60))
def test_a_mended_target_is_one_word_of_ascii(target: bytes) -> None:
    line = mend_request_line(b"GET /" + target + b" HTTP/1.1")
    method, middle, version = line.split(b" ")
    assert (method, version) == (b"GET", b"HTTP/1.1")
    assert middle.isascii()
    assert not any(byte <= 0x20 or byte == 0x7F for byte in middle)


@given(st.binary(max_size=80))
def test_mending_again_changes_nothing(rest: bytes) -> None:
    head = b"GET /" + rest + b" HTTP/1.1\r\n\r\n"
    assume(head.count(b"\n") == head.count(b"\r\n"))
    once = mend(head)
    assert mend(once) == once


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a"]), max_size=12), st.integers(0, 12))
def test_a_head_that_comes_in_two_pieces_ends_at_the_same_place(parts: list[bytes], cut: int) -> None:
    data = b"".join(parts)
    first = data[:cut]
    if end_of_head(first) < 0:
        assert end_of_head(data, max(0, len(first) - 2)) == end_of_head(data)
