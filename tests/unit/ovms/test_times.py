"""Times as the legacy API and RFC 3339 write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.times import EVERYTHING, read_micros, read_rfc3339, read_since, write_micros, write_seconds, write_time


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


# ---- RFC 3339


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_of_rfc_3339_comes_back(moment: datetime) -> None:
    assert read_rfc3339(moment.isoformat()) == moment
    assert read_rfc3339(moment.isoformat().replace("+00:00", "Z")) == moment
    assert read_micros(write_micros(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T19:00:00Z", datetime(2026, 11, 22, 19, tzinfo=UTC)),
        ("2026-11-22t19:00:00.5z", datetime(2026, 11, 22, 19, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22T19:00:00+01:00", datetime(2026, 11, 22, 18, tzinfo=UTC)),
        ("2026-11-22T19:00:00.123456789-01:30", datetime(2026, 11, 22, 20, 30, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_moments_of_rfc_3339(text: str, expected: datetime) -> None:
    assert read_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T19:00:00",
        "2026-11-22 19:00:00Z",
        "2026-11-22T19:00Z",
        "1795374743",
        "2026-02-30T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-22T19:00:00Z\n",
        "२०२६-11-22T19:00:00Z",
    ],
)
def test_what_is_no_moment_of_rfc_3339(text: str) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        read_rfc3339(text)
