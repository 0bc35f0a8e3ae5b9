"""CSV and lines of JSON: they come back as they were, and no spreadsheet runs what a car wrote."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.v1.history.tables import write_csv, write_csv_head, write_ndjson
from ovms.records import DistanceUnit, Freshness

AT = datetime(2026, 11, 22, 19, 12, 23, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


@given(st.lists(st.tuples(TEXT, st.integers(), TEXT), max_size=5))
def test_csv_comes_back(rows: list[tuple[str, int, str]]) -> None:
    found = read_csv(write_csv({"a": a, "b": b, "c": c} for a, b, c in rows))
    assert len(found) == len(rows)
    for cells, row in zip(found, rows, strict=True):
        assert [cell.removeprefix("'") for cell in cells] == [str(value).removeprefix("'") for value in row]


@given(TEXT)
def test_no_cell_begins_a_formula(text: str) -> None:
    ((cell,),) = read_csv(write_csv([{"a": text}])) or ((("",)),)
    assert cell[:1] not in set("=+-@\t\r\n") or cell.lstrip("+-").replace(".", "", 1).isdigit()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", b"'=1+1"),
        ("@SUM(A1)", b"'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", b"'+cmd|' /C calc'!A0"),
        ("-1+1", b"'-1+1"),
        ("\tx", b"'\tx"),
        ("-12.5", b"-12.5"),
        ("+49", b"+49"),
        ("12.4,0.8,35", b'"12.4,0.8,35"'),
        ('say "hi"', b'"say ""hi"""'),
        ("two\nlines", b'"two\nlines"'),
        (-1.5, b"-1.5"),
        (True, b"true"),
        (False, b"false"),
        (None, b'""'),
        (AT, b"2026-11-22T19:12:23Z"),
        (DistanceUnit.MILES, b"M"),
        (Freshness.NONE, b"-1"),
    ],
)
def test_cells(value: object, expected: bytes) -> None:
    assert write_csv([{"a": value}]) == expected + b"\r\n"


def test_a_head_is_a_line() -> None:
    assert write_csv_head(["recorded_at", "data"]) == b"recorded_at,data\r\n"


@given(st.lists(st.dictionaries(TEXT, TEXT | st.none() | st.booleans(), max_size=3), max_size=5))
def test_lines_of_json_come_back(rows: list[dict[str, object]]) -> None:
    data = write_ndjson(rows)
    assert [json.loads(line) for line in data.decode().split("\n")[:-1]] == rows


def test_a_line_of_json_has_times_in_rfc_3339() -> None:
    assert write_ndjson([{"at": AT, "text": "a\nb"}]) == b'{"at":"2026-11-22T19:12:23Z","text":"a\\nb"}\n'
