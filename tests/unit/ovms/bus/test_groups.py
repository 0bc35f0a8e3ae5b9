"""Words of a group's channel: written and read."""

import pytest
from hypothesis import given

from fixtures.bodies import kind_of
from ovms.bus.groups import Ask, Update, ask, read_group, update
from ovms.bus.interface import GROUP
from ovms.bus.replicas import Address
from unit.ovms.bus.strategies import ADDRESSES, MESSAGES, NAMES, SOME, bodies, is_read


@SOME
@given(NAMES, MESSAGES)
def test_an_update(replica: str, message: bytes) -> None:
    body = update(replica, message)
    assert read_group(body) == Update(replica, message)
    assert kind_of(GROUP, body) == "update"


@SOME
@given(ADDRESSES)
def test_a_question(asker: Address) -> None:
    body = ask(asker)
    assert read_group(body) == Ask(asker)
    assert kind_of(GROUP, body) == "ask"


def test_words_as_they_are_on_the_wire() -> None:
    assert update("5f2c", b"gDEMO,FRIENDS,a b\xff") == b"update 5f2c gDEMO,FRIENDS,a b\xff"
    assert ask(Address("5f2c", 42)) == b"ask 5f2c 42"


@SOME
@given(bodies(b"update", b"ask"))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    is_read(read_group, body)


@pytest.mark.parametrize(
    "body", [b"", b"update", b"update 5f2c", b"updates 5f2c g", b"update \xff g", b"ask 5f2c", b"ask 5f2c x"]
)
def test_what_is_no_word_is_refused(body: bytes) -> None:
    assert not is_read(read_group, body)
