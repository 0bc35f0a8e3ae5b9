"""Cursors lead back to what they were made of, and nothing else is one."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.v1.errors import InvalidRequest
from api_gateway.v1.history.cursors import LONGEST, read_cursor, write_cursor
from ovms.times import read_micros, write_micros

WHOLE = st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes(timezones=st.just(read_micros(0).tzinfo))


@given(MOMENTS, WHOLE)
def test_a_time_and_a_number_come_back(moment, number) -> None:
    key = (write_micros(moment), number)
    found = read_cursor(write_cursor(key), int, int)
    assert found == key
    assert read_micros(found[0]) == moment


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=255))
def test_a_name_comes_back(name: str) -> None:
    text = write_cursor((name,))
    assert len(text) <= 2 * LONGEST
    if len(text) <= LONGEST:
        assert read_cursor(text, str) == (name,)


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    for kinds in ((int, int), (int,), (str,)):
        try:
            key = read_cursor(text, *kinds)
        except InvalidRequest:
            continue
        assert [type(part) for part in key] == list(kinds)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "a",
        "äöü",
        "AAAA",
        write_cursor((1,)),
        write_cursor((1, 2, 3)),
        write_cursor(("1", 2)),
        encoded([1, True]),
        encoded([1, 2.0]),
        encoded([1, None]),
        encoded({"1": 2}),
        encoded(12),
        encoded([2**63 - 1, 0]),
        encoded([0, 2**64 - 1]),
        base64.urlsafe_b64encode(b"[1,99999999999999999999999]").decode(),
        base64.urlsafe_b64encode(b"[" * 500).decode(),
        "A" * (LONGEST + 4),
    ],
)
def test_what_is_no_time_and_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(text, int, int)


def test_a_name_without_a_place_in_postgresql_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_cursor(write_cursor(("nul\0",)), str)
