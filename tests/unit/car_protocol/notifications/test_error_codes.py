"""Words for error codes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.notifications.error_codes import TABLES as OWN
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


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("TR,23,0", "Vehicle Alert #23: THE CAR IS SWITCHING OFF: STOP IN A SAFE PLACE"),
        ("TR,25,40", "Vehicle Alert #25: Copying to the memory stick (40%)"),
        ("TR2N,401,0", "Vehicle Alert #401: Tyre pressure very low: front left"),
        ("TR,1144,0", "Vehicle Alert #1144: DMC: powertrain fault, have the car serviced"),
        ("TR,1,0", "Vehicle Alert Code: TR/1 (00000000)"),
        ("VA,1,0", "Vehicle Alert Code: VA/1 (00000000)"),
    ],
)
def test_the_codes_of_the_roadster_have_texts_without_any_setting(message: str, text: str) -> None:
    assert ErrorCodes.load(OWN).expand(message) == text


def test_every_code_of_the_own_tables_has_a_text_of_its_own_that_a_record_can_hold() -> None:
    codes = ErrorCodes.load(OWN)
    [(vehicle_type, table)] = codes._tables.items()
    assert (vehicle_type, len(table)) == ("TR", 403)
    for code, text in table.items():
        assert code.isdigit()
        assert 0 < len(text) < 100
        assert text.count("%d") == (code == "25")
    assert len(set(table.values())) == len(table)


def test_the_operators_tables_replace_texts_and_add_others(tmp_path: Path) -> None:
    (tmp_path / "own.vece").write_text("[TR]\n23=Stop\n[VA]\n1=One\n")
    codes = ErrorCodes.load(OWN, tmp_path)
    assert codes.expand("TR,23,0") == "Vehicle Alert #23: Stop"
    assert codes.expand("VA,1,0") == "Vehicle Alert #1: One"
    assert codes.expand("TR,700,0") == "Vehicle Alert #700: Brake fluid is low"


@given(st.text())
def test_whatever_a_car_sends_becomes_words(message: str) -> None:
    assert TABLES.expand(message).startswith("Vehicle Alert")
