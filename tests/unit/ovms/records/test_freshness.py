"""Indicators of age."""

from typing import Any

import pytest

from ovms.records.freshness import Freshness


@pytest.mark.parametrize(
    ("value", "freshness"),
    [(-1, Freshness.NONE), (0, Freshness.STALE), (1, Freshness.FRESH), (60, Freshness.FRESH)],
)
def test_numbers_above_0_are_fresh(value: int, freshness: Freshness) -> None:
    assert Freshness(value) is freshness


@pytest.mark.parametrize("value", [-2, None, "1"])
def test_all_else_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid Freshness"):
        Freshness(value)
