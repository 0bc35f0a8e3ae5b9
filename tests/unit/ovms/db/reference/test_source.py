"""Pages in the order of a key."""

import pytest

from ovms.db.reference.source import SourceError, SourceTable, _steps, key_of

TABLE = SourceTable("t", ("a", "b", "c"), ("a", "b", "c", "d"))


def test_what_follows_a_key_is_asked_for_as_an_index_finds_it() -> None:
    assert _steps(["a"], None) == [([], ())]
    assert _steps(["a"], ["1"]) == [(["a > %s"], ["1"])]
    assert _steps(["a", "b", "c"], ["1", "2", "3"]) == [
        (["a = %s", "b = %s", "c > %s"], ["1", "2", "3"]),
        (["a = %s", "b > %s"], ["1", "2"]),
        (["a > %s"], ["1"]),
    ]


def test_the_key_of_a_row() -> None:
    row = {"a": b"1", "b": "é".encode(), "c": b"", "d": b"\xff"}
    assert key_of(TABLE, row) == ("1", "é", "")
    assert key_of(TABLE, row, 1) == ("é", "")
    with pytest.raises(SourceError, match="reference: table t has a key that is not UTF-8"):
        key_of(TABLE, row | {"b": b"\xff"})
