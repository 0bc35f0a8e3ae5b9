"""Words between replicas: written and read."""

from collections.abc import Sequence

import pytest
from hypothesis import given

from fixtures.bodies import kind_of
from ovms.bus.interface import REPLICA
from ovms.bus.replicas import (
    Address,
    Kept,
    ToCar,
    ToPeer,
    Unwritten,
    Written,
    read_word,
    to_car,
    to_peer,
    unwritten,
    written,
)
from unit.ovms.bus.strategies import ADDRESSES, JSON, KEPT, KEY_NAMES, MESSAGES, NAMES, NUMBERS, SOME, TIMES, bodies, is_read


@SOME
@given(NUMBERS, NUMBERS, ADDRESSES, MESSAGES)
def test_a_message_for_a_car(session: int, vehicle: int, sender: Address, message: bytes) -> None:
    body = to_car(session, vehicle, sender, message)
    assert read_word(body) == ToCar(session, vehicle, sender, message)
    assert kind_of(REPLICA, body) == "car"


@SOME
@given(NUMBERS, MESSAGES)
def test_a_message_for_a_peer(peer: int, message: bytes) -> None:
    body = to_peer(peer, message)
    assert read_word(body) == ToPeer(peer, message)
    assert kind_of(REPLICA, body) == "peer"


@SOME
@given(NUMBERS, NAMES, NUMBERS)
def test_a_question_for_what_is_not_written(vehicle: int, replica: str, question: int) -> None:
    body = unwritten(vehicle, replica, question)
    assert read_word(body) == Unwritten(vehicle, replica, question)
    assert kind_of(REPLICA, body) == "unwritten"


@SOME
@given(NUMBERS, TIMES, KEY_NAMES, KEPT)
def test_what_is_not_written(question: int, at: float, token: str | None, messages: Sequence[Kept]) -> None:
    body = written(question, at, token, messages)
    assert read_word(body) == Written(question, at, token, tuple(messages))
    assert kind_of(REPLICA, body) == "written"


def test_words_as_they_are_on_the_wire() -> None:
    asker = Address("5f2c", 42)
    assert to_car(9, 17, asker, b"C7,a b\xff") == b"car 9 17 5f2c 42 C7,a b\xff"
    assert to_peer(42, b"c7,0,a b") == b"peer 42 c7,0,a b"
    assert unwritten(17, "5f2c", 43) == b"unwritten 17 5f2c 43"
    kept = Kept(b"S\xff", 2.5, None, 9)
    assert written(43, 3.0, None, [kept]) == (
        b'written 43 {"at": 3.0, "token": null, "messages": [["S\\u00ff", 2.5, null, 9]]}'
    )


# ---- malformed


@SOME
@given(bodies(b"car", b"peer", b"unwritten"))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    is_read(read_word, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"car",
        b"cars 1 2 a 3 C7",
        b"car 1 2 a 3",
        b"car 1 2 a b C7",
        b"car 1 2 \xff 3 C7",
        b"peer 1",
        b"peer x C7",
        b"unwritten 1 a",
    ],
)
def test_what_is_no_word_is_refused(body: bytes) -> None:
    assert not is_read(read_word, body)


@pytest.mark.parametrize("body", [b"written 43", b"written x {}", b"written 43 {", b"written 43 \xff"])
def test_an_answer_that_is_no_json_is_refused(body: bytes) -> None:
    assert not is_read(read_word, body)


@pytest.mark.parametrize(
    "told",
    [
        b"{}",
        b"5",
        b"[]",
        b'{"at": 1, "messages": []}',
        b'{"at": 1, "token": "", "messages": 5}',
        b'{"at": 1, "token": "", "messages": [5]}',
        b'{"at": 1, "token": "", "messages": [["S1", 1]]}',
        b'{"at": 1, "token": "", "messages": [[5, 1, null, 9]]}',
        b"[" * 100_000,
    ],
    ids=lambda told: told[:40].decode(),
)
def test_an_answer_of_another_shape_is_refused(told: bytes) -> None:
    assert not is_read(read_word, b"written 43 " + told)


@pytest.mark.parametrize(
    "told",
    [
        b'{"at": "now", "token": "", "messages": []}',
        b'{"at": 1, "token": 5, "messages": []}',
        b'{"at": 1, "token": "", "messages": [["", 1, null, 9]]}',
        b'{"at": 1, "token": "", "messages": [["S1", "then", null, 9]]}',
        b'{"at": 1, "token": "", "messages": [["S1", 1, null, null]]}',
    ],
    ids=lambda told: told.decode(),
)
def test_an_answer_of_other_types_is_refused(told: bytes) -> None:
    """The greeter compares them, and takes the first byte of each message."""
    assert not is_read(read_word, b"written 43 " + told)


@SOME
@given(JSON)
def test_any_json_is_read_or_refused(told: bytes) -> None:
    is_read(read_word, b"written 43 " + told)
