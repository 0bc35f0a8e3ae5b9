"""Words between replicas: written and read."""

from collections.abc import Sequence

import pytest
from hypothesis import given

from fixtures.bodies import kind_of
from ovms.bus.interface import REPLICA
from ovms.bus.replicas import (
    LONGEST_PART,
    Address,
    Kept,
    Parts,
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
from unit.ovms.bus.strategies import ADDRESSES, JSON, KEPT, KEY_NAMES, MESSAGES, NAMES, NUMBERS, SOME, bodies, is_read


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
@given(NUMBERS, NUMBERS, NUMBERS, KEY_NAMES, KEPT)
def test_what_is_not_written(question: int, session: int, number: int, token: str | None, messages: Sequence[Kept]) -> None:
    [body] = written(question, session, number, token, messages)
    assert read_word(body) == Written(question, session, number, token, tuple(messages))
    assert kind_of(REPLICA, body) == "written"


@pytest.mark.parametrize("size", [100, 60_000])
def test_a_long_answer_has_parts_that_make_it_whole_in_any_order(size: int) -> None:
    messages = [Kept(b"%c" % code + b"x" * size, 2.5, None, 9, code) for code in range(33, 256)]
    bodies = written(43, 9, 300, "token", messages)
    assert len(bodies) == (1 if size == 100 else 56)
    assert max(map(len, bodies)) <= LONGEST_PART
    parts, whole = Parts(), None
    for body in reversed(bodies):
        assert whole is None
        assert kind_of(REPLICA, body) == "written"
        word = read_word(body)
        assert isinstance(word, Written)
        whole = parts.add(word)
    assert whole is not None
    assert whole[:4] == (43, 9, 300, "token")
    assert sorted(whole.messages) == messages


def test_a_message_that_is_longer_than_a_part_is_a_part() -> None:
    messages = [Kept(b"%c" % code + b"\0" * 60_000, 2.5, None, 9, code) for code in (65, 66)]
    assert [len(body) > LONGEST_PART for body in written(43, 9, 300, None, messages)] == [True, True]


def test_words_as_they_are_on_the_wire() -> None:
    asker = Address("5f2c", 42)
    assert to_car(9, 17, asker, b"C7,a b\xff") == b"car 9 17 5f2c 42 C7,a b\xff"
    assert to_peer(42, b"c7,0,a b") == b"peer 42 c7,0,a b"
    assert unwritten(17, "5f2c", 43) == b"unwritten 17 5f2c 43"
    kept = Kept(b"S\xff", 2.5, None, 9, 56)
    assert written(43, 9, 57, None, [kept]) == [
        b'written 43 {"session": 9, "number": 57, "token": null, "parts": 1, "messages": [["S\\u00ff", 2.5, null, 9, 56]]}'
    ]


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
        b'{"session": 9, "number": 1, "parts": 1, "messages": []}',
        b'{"number": 1, "token": "", "parts": 1, "messages": []}',
        b'{"session": 9, "number": 1, "token": "", "messages": []}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": 5}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [5]}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [["S1", 1, null, 9]]}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [[5, 1, null, 9, 1]]}',
        b"[" * 100_000,
    ],
    ids=lambda told: told[:40].decode(),
)
def test_an_answer_of_another_shape_is_refused(told: bytes) -> None:
    assert not is_read(read_word, b"written 43 " + told)


@pytest.mark.parametrize(
    "told",
    [
        b'{"session": "9", "number": 1, "token": "", "parts": 1, "messages": []}',
        b'{"session": 9, "number": 1.5, "token": "", "parts": 1, "messages": []}',
        b'{"session": 9, "number": 1, "token": "", "parts": null, "messages": []}',
        b'{"session": 9, "number": 1, "token": 5, "parts": 1, "messages": []}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [["", 1, null, 9, 1]]}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [["S1", "then", null, 9, 1]]}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [["S1", 1, null, null, 1]]}',
        b'{"session": 9, "number": 1, "token": "", "parts": 1, "messages": [["S1", 1, null, 9, "1"]]}',
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
