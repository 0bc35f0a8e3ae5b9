"""Columns on their own: what they take from the tokens that are left, and what they give back."""

from typing import Any

import pytest

from ovms.records.columns import LARGEST_COUNT, Bits, Column, Counted, Flags, Rest, Sign


class Lamps(Bits):
    """Bits of a test."""

    LOW = 0x01, "Low beam", "low"
    HIGH = 0x80, "High beam"


PLAIN = Column("Plain")
TENTHS = Column("Tenths", "tenths", unit="km", per=10)
HEXADECIMAL = Column("Hexadecimal", base=16)
BOUNDED = Column("Bounded", least=0, most=65_534)
SIGN = Sign("Sign")
LAMPS = Flags("Lamps", bits=Lamps)
COUNTED = Counted("Counted")
REST = Rest("Rest")


@pytest.mark.parametrize(
    ("column", "kind", "tokens", "value", "left"),
    [
        (PLAIN, float, ["1.5", "2"], 1.5, ["2"]),
        (PLAIN, float, [], None, []),
        (TENTHS, float, ["15"], 1.5, []),
        (HEXADECIMAL, int, ["1f"], 31, []),
        (BOUNDED, int, ["0"], 0, []),
        (BOUNDED, int, ["65534"], 65_534, []),
        (BOUNDED, int, ["-1"], None, []),
        (BOUNDED, int, ["65535"], None, []),
        (BOUNDED, int, [""], None, []),
        (BOUNDED, float, ["-0.5"], None, []),
        (SIGN, bool, ["-1", "0"], False, ["0"]),
        (LAMPS, Lamps, ["129"], Lamps.LOW | Lamps.HIGH, []),
        (LAMPS, Lamps, ["0"], Lamps(0), []),
        (LAMPS, Lamps, ["255"], Lamps(255), []),
        (LAMPS, Lamps, ["256"], None, []),
        (LAMPS, Lamps, ["-1"], None, []),
        (LAMPS, Lamps, ["on"], None, []),
        (COUNTED, float, ["2", "1", "x", "3"], (1.0, None), ["3"]),
        (COUNTED, float, ["0", "1"], (), ["1"]),
        (COUNTED, float, ["3", "1"], (1.0, None, None), []),
        (COUNTED, float, ["", "1"], None, ["1"]),
        (COUNTED, float, [], None, []),
        (COUNTED, float, ["x", "1"], None, []),
        (COUNTED, float, ["-1", "1"], None, []),
        (COUNTED, float, [str(LARGEST_COUNT + 1), "1"], None, []),
        (REST, str, ["C1", "", "C2"], ("C1", "C2"), []),
        (REST, str, [], (), []),
    ],
)
def test_take(column: Column, kind: type, tokens: list[str], value: object, left: list[str]) -> None:
    rest = iter(tokens)

    assert column.take(rest, column.codec(kind)) == value
    assert list(rest) == left


@pytest.mark.parametrize(
    ("column", "kind", "value", "tokens"),
    [
        (PLAIN, float, 1.5, ["1.5"]),
        (PLAIN, float, None, [""]),
        (TENTHS, float, 1.5, ["15"]),
        (HEXADECIMAL, int, 31, ["1f"]),
        (SIGN, bool, True, ["0"]),
        (LAMPS, Lamps, Lamps(129), ["129"]),
        (COUNTED, float, (1.0, None), ["2", "1", ""]),
        (COUNTED, float, (), ["0"]),
        (COUNTED, float, None, [""]),
        (REST, str, ("C1", "C2"), ["C1", "C2"]),
        (REST, str, (), []),
    ],
)
def test_give(column: Column, kind: type, value: object, tokens: list[str]) -> None:
    assert column.give(value, column.codec(kind)) == tokens


def test_raw_tokens_keep_their_text() -> None:
    tokens = iter(["1.50", "3", "", "x"])

    assert PLAIN.raw(tokens) == ["1.50"]
    assert COUNTED.raw(tokens) == ["", "x", None]
    assert PLAIN.raw(tokens) == [None]
    assert COUNTED.raw(tokens) is None


def test_documents_say_how_the_wire_differs() -> None:
    assert [column.wire for column in (PLAIN, TENTHS, HEXADECIMAL, SIGN, LAMPS, COUNTED, REST)] == [
        "",
        "10 times the value",
        "hexadecimal",
        "yes from 0 up, no below",
        "bits",
        "a count, then the values",
        "all that is left",
    ]


def number_schema(core: Any) -> dict[str, Any]:
    return {"type": "number"}


def test_schema_of_a_column() -> None:
    assert PLAIN.__get_pydantic_json_schema__(None, number_schema) == {"type": "number", "description": "Plain"}
    assert TENTHS.__get_pydantic_json_schema__(None, number_schema) == {
        "type": "number",
        "description": "Tenths",
        "x-unit": "km",
    }


def test_schema_of_flags() -> None:
    assert LAMPS.__get_pydantic_json_schema__(None, number_schema) == {
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}],
        "description": "Lamps",
        "x-bits": [
            {"mask": 1, "name": "low", "title": "Low beam"},
            {"mask": 128, "name": "high", "title": "High beam"},
        ],
    }


def test_bits_carry_their_titles() -> None:
    assert [(bit.value, bit.title, bit.json) for bit in Lamps] == [
        (0x01, "Low beam", "low"),
        (0x80, "High beam", None),
    ]
