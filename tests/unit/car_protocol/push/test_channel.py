"""What the channels share."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.push.channel import is_passing, read_retry_after, shorten


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_failure_that_passes(status: int) -> None:
    assert is_passing(status)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 413])
def test_a_failure_that_stays(status: int) -> None:
    assert not is_passing(status)


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), (None, 0.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("٣", 0.0)])
def test_the_seconds_of_retry_after(header: str | None, seconds: float) -> None:
    assert read_retry_after(header) == seconds


@given(text=st.text(max_size=300), most=st.integers(10, 400))
def test_a_text_is_shortened_to_fit(text: str, most: int) -> None:
    short = shorten(text, most)
    assert len(json.dumps(short, ensure_ascii=False).encode()) <= most
    if len(json.dumps(text, ensure_ascii=False).encode()) <= most:
        assert short == text
    else:
        assert text.startswith(short.rstrip("…"))


def test_a_long_text_says_that_it_goes_on() -> None:
    assert shorten("x" * 100, 50) == "x" * 45 + "…"
