"""Scheme 0, against what openssl made of it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.errors import Undecodable
from ovms.protocol.cipher import MAGIC, PlainLines, Rc4Lines, encipher, prove, read_base64, session_key, write_base64
from unit.ovms.protocol.transcripts import NAMES, PROVISIONING, transcript

KEY = bytes.fromhex("90752c160c51a37285be233b111a9b5c")
"""openssl's HMAC-MD5 of both tokens of car_login_0x30.txt under its secret."""


def test_the_proof_is_the_hmac_md5_of_the_token() -> None:
    assert prove(b"NETPASS", b"AbCdEfGhIjKlMnOpQrStUv") == base64.b64decode("9/O32Bkim3ovD9vF/WeY1w==")


def test_the_session_key_takes_the_servers_token_first() -> None:
    assert session_key(b"NETPASS", b"0123456789abcdefghijkl", b"AbCdEfGhIjKlMnOpQrStUv") == KEY


def test_one_text_by_itself_is_enciphered_as_openssl_does_it() -> None:
    session = transcript(PROVISIONING)
    key = prove(session.secret, session.server_token)
    assert write_base64(encipher(key, session.srv.messages[0])) == session.srv.lines[0].split()[4]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", ["car", "srv"])
def test_lines_of_openssl_open_and_are_sealed_alike(name: str, who: str) -> None:
    session = transcript(name)
    client_token = session.car.lines[0].split()[2]
    key = session_key(session.secret, session.server_token, client_token)
    opens, seals = Rc4Lines(key), Rc4Lines(key)
    side = session.car if who == "car" else session.srv

    assert [opens.open(line) for line in side.lines[1:]] == side.messages
    assert [seals.seal(message) for message in side.messages] == [line + b"\r\n" for line in side.lines[1:]]


def test_the_two_directions_do_not_disturb_each_other() -> None:
    here, there = Rc4Lines(KEY), Rc4Lines(KEY)
    for message in (b"S1", b"D2", b"L3"):
        assert there.open(here.seal(message)) == message
        assert here.open(there.seal(message[:1])) == message[:1]


@given(messages=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6))
def test_what_one_end_seals_the_other_opens(messages: list[bytes]) -> None:
    here, there = Rc4Lines(KEY), Rc4Lines(KEY)
    for message in messages:
        sealed = here.seal(message)
        assert sealed.endswith(b"\r\n")
        assert b"\n" not in sealed[:-1]
        if message[0] <= 0x20:
            with pytest.raises(Undecodable):
                there.open(sealed)
        else:
            assert there.open(sealed) == message.partition(b"\n")[0]


def line_of(text: bytes) -> bytes:
    """A first line that opens to a text under KEY."""
    return base64.b64encode(Rc4Lines(KEY)._encipher(text))


@pytest.mark.parametrize(
    "text",
    [b"", b"MP-0", MAGIC, b"MP-0  ", b"MP-0 \r", b"MP-0 \nS1", b"MP-1 S1", b"mp-0 S1", b"S1", b" MP-0 S1", b"MP-0 \x00S"],
)
def test_a_text_that_is_no_message_is_undecodable(text: bytes) -> None:
    with pytest.raises(Undecodable):
        Rc4Lines(KEY).open(line_of(text))


@pytest.mark.parametrize("line", [b"", b"\r", b"!!!!", b"A", b"AAAAA\r", b"MP-0 S1", b"AAAAAAAAAAAAAAAAAAAAAAAA\r"])
def test_a_line_that_was_not_sealed_for_us_is_undecodable(line: bytes) -> None:
    with pytest.raises(Undecodable):
        Rc4Lines(KEY).open(line)


def test_a_message_of_one_byte_and_one_of_any_bytes_open() -> None:
    assert Rc4Lines(KEY).open(line_of(b"MP-0 A")) == b"A"
    assert Rc4Lines(KEY).open(line_of(b"MP-0 \xff\x00\r\xfe")) == b"\xff\x00\r\xfe"


def test_a_line_feed_in_a_message_cuts_it() -> None:
    assert Rc4Lines(KEY).open(line_of(b"MP-0 Sone\ntwo\nthree")) == b"Sone"


@pytest.mark.parametrize("end", [b"", b"\r", b" \r"])
def test_a_line_without_padding_opens(end: bytes) -> None:
    line = line_of(b"MP-0 S1")
    assert line.endswith(b"=")
    assert Rc4Lines(KEY).open(line.rstrip(b"=") + end) == b"S1"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 16])
def test_base64_is_read_with_and_without_padding_and_written_with_it(size: int) -> None:
    data = bytes(range(200, 200 + size))
    padded = base64.b64encode(data)
    assert write_base64(data) == padded
    assert read_base64(padded) == data
    assert read_base64(padded.rstrip(b"=")) == data


def test_a_single_character_is_no_base64() -> None:
    with pytest.raises(Undecodable):
        read_base64(b"A")


# ---- scheme 1


@pytest.mark.parametrize("line", [b"S1", b"S1\r", b"MP-0 S1", b"MP-0 S1\r"])
def test_a_plain_line_is_its_message(line: bytes) -> None:
    assert PlainLines().open(line) == b"S1"


@pytest.mark.parametrize("line", [b"", b"\r", b" S1", b"\x00S1", b"MP-0 ", b"MP-0 \r"])
def test_a_plain_line_without_a_code_is_undecodable(line: bytes) -> None:
    with pytest.raises(Undecodable):
        PlainLines().open(line)


def test_a_message_is_its_plain_line() -> None:
    assert PlainLines().seal(b"S75.5,\xff\x00") == b"S75.5,\xff\x00\r\n"
