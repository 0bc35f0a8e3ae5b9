"""Times as the legacy API writes and reads them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.times import EVERYTHING, read_since, write_seconds, write_time


def test_written() -> None:
    assert write_seconds(1_795_374_743) == "2026-11-22 19:12:23"
    assert write_time(datetime(2026, 11, 22, 20, 12, 23, 999, timezone(timedelta(hours=1)))) == "2026-11-22 19:12:23"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", (2026, 11, 22)),
        ("2026-11-22 19:12:23", (2026, 11, 22, 19, 12, 23)),
        ("2026-11-22T19:12:23Z", (2026, 11, 22, 19, 12, 23)),
        ("2026-11-22 19:12", (2026, 11, 22, 19, 12)),
        ("2026-11-22 19", (2026, 11, 22, 19)),
        ("2026-1-2 3:4:5", (2026, 1, 2, 3, 4, 5)),
        ("2026/11/22 19.12.23", (2026, 11, 22, 19, 12, 23)),
        ("2026-11-22 19:12:23.5", (2026, 11, 22, 19, 12, 23, 500_000)),
        ("20261122", (2026, 11, 22)),
        ("20261122191223", (2026, 11, 22, 19, 12, 23)),
        (" 2026-11-22", (2026, 11, 22)),
        ("2026-11-22 nonsense", (2026, 11, 22)),
    ],
)
def test_read(text: str, expected: tuple[int, ...]) -> None:
    assert read_since(text) == datetime(*expected, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "0000-00-00",
        "2026",
        "22.11.2026",
        "2026-11-22 25:00:00",
        "٢٠٢٦-11-22",
    ],
)
def test_what_cannot_be_read_holds_nothing_back(text: str | None) -> None:
    assert read_since(text) == EVERYTHING


@given(st.integers(0, 253_000_000_000))
def test_what_is_written_is_read(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert read_since(write_time(moment)) == moment


@given(st.text(alphabet="0123456789-: T./", max_size=30))
def test_any_text_is_taken(text: str) -> None:
    assert read_since(text).tzinfo is UTC
