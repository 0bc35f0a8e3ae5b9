"""Buckets that fill all the time."""

import pytest

from api_gateway.edge.limits import Buckets, Limits
from api_gateway.errors import TooManyRequests

TYPED = {"type": "http", "path": "/api/v1/vehicles"}
LEGACY = {"type": "http", "path": "/api/vehicles"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    buckets = Buckets(3, 60.0, clock)
    levels = [buckets.take("a") for _ in range(5)]
    assert [level and level.left for level in levels] == [2, 1, 0, -1, -1]
    assert levels[3] is not None
    assert (levels[3].wait, levels[3].full_in) == (20, 60)
    clock.now += 19
    level = buckets.take("a")
    assert level is not None
    assert (level.left < 0, round(level.wait, 6)) == (True, 1)
    clock.now += 1
    level = buckets.take("a")
    assert level is not None
    assert (round(level.left, 6), level.wait) == (0, 0)
    clock.now += 1e9
    level = buckets.take("a")
    assert level is not None
    assert level.left == 2


def test_each_key_has_a_bucket_and_they_are_bounded() -> None:
    buckets = Buckets(1, 60.0, Clock(), capacity=2)
    assert [level and level.left for level in map(buckets.take, "aabac")] == [0, -1, 0, -1, 0]
    level = buckets.take("b")
    assert level is not None
    assert level.left == 0, "the one that was used longest ago made room"
    assert len(buckets._kept) == 2


def test_what_an_answer_says() -> None:
    scope = dict(TYPED)
    limits = Limits(60, 0, Clock())
    limits.take(scope, "a")
    fields = dict(scope["ovms.level"].fields())  # type: ignore[attr-defined]
    assert fields == {b"ratelimit-policy": b'"credential";q=60;w=60', b"ratelimit": b'"credential";r=59;t=1'}


def test_the_apis_have_limits_of_their_own() -> None:
    limits = Limits(1, 2, Clock())
    limits.take(dict(TYPED), "a")
    with pytest.raises(TooManyRequests) as refused:
        limits.take(dict(TYPED), "a")
    assert refused.value.headers == {"Retry-After": "60"}
    scopes = [dict(LEGACY) for _ in range(3)]
    for scope in scopes[:2]:
        limits.take(scope, "a")
    with pytest.raises(TooManyRequests):
        limits.take(scopes[2], "a")
    assert scopes == [LEGACY] * 3


def test_no_limit_is_none() -> None:
    limits = Limits(0, 0, Clock())
    for _ in range(1000):
        limits.take(dict(TYPED), "a")
