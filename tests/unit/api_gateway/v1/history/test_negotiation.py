"""Accept, as RFC 9110 has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.v1.history.negotiation import choose

OFFERED = ("application/json", "text/csv", "application/x-ndjson")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/*", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv; header=present; q=0.5", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json;q=0.5, text/csv;q=0.5", "application/json"),
        ("*/*, application/json;q=0", "text/csv"),
        ("application/*;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson; Q = 1.000", "application/x-ndjson"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("json", None),
        (",", None),
    ],
)
def test_the_best_that_is_offered_is_chosen(accept: str | None, expected: str | None) -> None:
    assert choose(accept, OFFERED) == expected


@given(st.text(max_size=80))
def test_anything_may_be_asked_for(accept: str) -> None:
    assert choose(accept, OFFERED) in (*OFFERED, None)
