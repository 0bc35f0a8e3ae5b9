"""Words for error codes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.notifications.error_codes import ErrorCodes, ErrorCodesUnreadable

TABLES = ErrorCodes({"VA": {"10": "Low on oil, %d%% left", "11": "Tyre"}, "VA2": {"11": "Other tyre"}})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("VA,10,25", "Vehicle Alert #10: Low on oil, 25% left"),
        ("VA,11,0", "Vehicle Alert #11: Tyre"),
        ("VA2,11,0", "Vehicle Alert #11: Other tyre"),
        ("VA2,10,7", "Vehicle Alert #10: Low on oil, 7% left"),
        ("VA,99,255", "Vehicle Alert Code: VA/99 (000000ff)"),
        ("TR,10,-1", "Vehicle Alert Code: TR/10 (ffffffff)"),
        ("VA,10", "Vehicle Alert #10: Low on oil, 0% left"),
        ("", "Vehicle Alert Code: /0 (00000000)"),
    ],
)
def test_a_code_becomes_words(message: str, words: str) -> None:
    assert TABLES.expand(message) == words


def test_tables_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "va.vece").write_text("[VA]\n10=Low on oil, %d%% left\n")
    (tmp_path / "vb.vece").write_text("[VA]\n11=Tyre\n[VB]\n1=One\n")
    (tmp_path / "notes.txt").write_text("no table")
    codes = ErrorCodes.load(tmp_path)
    assert codes.expand("VA,10,5") == "Vehicle Alert #10: Low on oil, 5% left"
    assert codes.expand("VA,11,0") == "Vehicle Alert #11: Tyre"
    assert codes.expand("VB,1,0") == "Vehicle Alert #1: One"


@pytest.mark.parametrize("content", [b"10=no section", b"[VA]\n\xff=1"])
def test_a_file_in_another_format_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.vece").write_bytes(content)
    with pytest.raises(ErrorCodesUnreadable, match=r"bad\.vece"):
        ErrorCodes.load(tmp_path)


@given(st.text())
def test_whatever_a_car_sends_becomes_words(message: str) -> None:
    assert TABLES.expand(message).startswith("Vehicle Alert")
