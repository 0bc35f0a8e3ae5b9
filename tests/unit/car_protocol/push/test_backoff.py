"""How long until the next attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.push.backoff import LONGEST, wait_after


@pytest.mark.parametrize(
    ("attempts", "longest"), [(1, 5), (2, 20), (3, 80), (4, 320), (5, 1280), (6, 5120), (7, 7200), (99, 7200)]
)
def test_it_grows_up_to_a_bound(attempts: int, longest: float) -> None:
    assert wait_after(attempts, 0.0) == longest / 2
    assert wait_after(attempts, 1.0) == longest


@pytest.mark.parametrize(("asked", "waited"), [(60, 60), (1, 2.5), (1e9, LONGEST)])
def test_a_service_may_ask_for_more(asked: float, waited: float) -> None:
    assert wait_after(1, 0.0, asked) == waited


@given(attempts=st.integers(1, 10**9), jitter=st.floats(0, 1), asked=st.floats(0, 1e12))
def test_it_is_never_too_short_nor_too_long(attempts: int, jitter: float, asked: float) -> None:
    assert 2.5 <= wait_after(attempts, jitter, asked) <= LONGEST
