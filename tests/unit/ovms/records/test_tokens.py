"""One token at a time."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.records.freshness import Freshness
from ovms.records.tokens import (
    LARGEST_INTEGER,
    codec,
    read_fraction,
    read_integer,
    read_number,
    read_sign,
    write_fraction,
    write_integer,
    write_number,
    write_sign,
    write_text,
)
from ovms.records.tyres import AlertLevel
from ovms.records.units import DistanceUnit


@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("0", 0.0),
        ("75.5", 75.5),
        ("-9.10", -9.1),
        ("1e-05", 1e-05),
        (" 12", 12.0),
        ("", None),
        ("-", None),
        ("nan", None),
        ("-inf", None),
        ("1e999", None),
        ("1_0", None),
        ("\u0661\u0662", None),
        ("12abc", None),
    ],
)
def test_read_number(token: str, number: float | None) -> None:
    assert read_number(token) == number


@pytest.mark.parametrize(("number", "token"), [(280.0, "280"), (-9.1, "-9.1"), (0.1, "0.1"), (7, "7")])
def test_write_number(number: float, token: str) -> None:
    assert write_number(number) == token


def test_tenths() -> None:
    assert read_fraction("456789", per=10) == 45678.9
    assert read_fraction("x", per=10) is None
    assert read_fraction("1e300", per=10) is None
    assert write_fraction(45678.9, per=10) == "456789"


@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("93", 93),
        ("-1", -1),
        ("", None),
        ("1.5", None),
        ("1_0", None),
        ("\u0661", None),
        (str(LARGEST_INTEGER), LARGEST_INTEGER),
        (str(LARGEST_INTEGER + 1), None),
        ("9" * 5000, None),
    ],
)
def test_read_integer(token: str, number: int | None) -> None:
    assert read_integer(token) == number


def test_hexadecimal() -> None:
    assert read_integer("1f", base=16) == 31
    assert read_integer("g", base=16) is None
    assert write_integer(31, base=16) == "1f"
    assert write_integer(31) == "31"


@pytest.mark.parametrize(("token", "answer"), [("0", True), ("3", True), ("-1", False), ("", None)])
def test_sign(token: str, answer: bool | None) -> None:
    assert read_sign(token) is answer


@pytest.mark.parametrize("answer", [True, False])
def test_sign_is_read_as_written(answer: bool) -> None:
    assert read_sign(write_sign(answer)) is answer


def test_text_loses_what_separates() -> None:
    assert write_text("a,b\r\nc\nd\re") == "a;b\rc\rd\re"


@pytest.mark.parametrize(
    ("kind", "token", "value"),
    [
        (float, "1.5", 1.5),
        (int, "15", 15),
        (bool, "1", True),
        (bool, "0", False),
        (bool, "yes", None),
        (str, "charging", "charging"),
        (str, "", None),
        (DistanceUnit, "K", DistanceUnit.KILOMETRES),
        (DistanceUnit, "k", None),
        (AlertLevel, "2", AlertLevel.ALERT),
        (AlertLevel, "3", None),
        (AlertLevel, "", None),
        (Freshness, "60", Freshness.FRESH),
    ],
)
def test_codecs_read(kind: type, token: str, value: object) -> None:
    assert codec(kind).read(token) == value


@pytest.mark.parametrize(
    ("kind", "value", "token"),
    [
        (float, 1.5, "1.5"),
        (int, 15, "15"),
        (bool, True, "1"),
        (bool, False, "0"),
        (str, "charging", "charging"),
        (DistanceUnit, DistanceUnit.MILES, "M"),
        (AlertLevel, AlertLevel.WARNING, "1"),
    ],
)
def test_codecs_write(kind: type, value: object, token: str) -> None:
    assert codec(kind).write(value) == token


def test_codecs_of_numbers_know_their_base_and_factor() -> None:
    assert codec(int, base=16).read("ff") == 255
    assert codec(int, base=16).write(255) == "ff"
    assert codec(float, per=10).read("43") == 4.3
    assert codec(float, per=10).write(4.3) == "43"


@pytest.mark.parametrize("read", [read_number, read_integer, read_sign, codec(AlertLevel).read])
@settings(deadline=None)
@given(token=st.text())
def test_no_token_is_an_error(read: Callable[[str], object], token: str) -> None:
    read(token)


def test_fractions_survive_any_number_of_tenths() -> None:
    assert all(write_fraction(number / 10, per=10) == str(number) for number in range(-5000, 5000))
