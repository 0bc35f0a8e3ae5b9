"""What a message on a peers channel tells; the rest is tried on a real Valkey."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovms.bus.interface import PEERS
from ovms.bus.presence import Connected, HttpWatchers, Peers, present_of
from unit.ovms.bus.strategies import NAMES, NUMBERS, SOME, is_read

BODY: dict[str, Any] = PEERS.bodies[0].example

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=2),
    max_leaves=6,
)


@SOME
@given(
    st.dictionaries(NAMES, st.builds(Connected, NUMBERS, NUMBERS, NUMBERS), max_size=3), st.integers(0, 9), st.floats(0, 1e10)
)
def test_it_tells_who_is_connected(replicas: dict[str, Connected], http: int, until: float) -> None:
    body = BODY | {"replicas": replicas, "http": http, "http_until": until}
    present = present_of(json.dumps(body).encode())
    assert (present.replicas, present.http, present.at) == (replicas, HttpWatchers(http, until), 1785747907_123456)


def test_the_counts_are_those_of_all_replicas() -> None:
    body = BODY | {"replicas": {"one": [5, 2, 1], "other": [0, 1, 3]}, "http": 4}
    assert present_of(json.dumps(body).encode()).peers() == Peers(car=1, apps=7, batch=4, http=4)


@SOME
@given(st.binary(max_size=30) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert not is_read(present_of, body)


@SOME
@given(st.sampled_from(["replicas", "http", "http_until", "at"]), VALUES)
def test_a_field_of_another_kind_is_read_or_refused(name: str, value: object) -> None:
    is_read(present_of, json.dumps(BODY | {name: value}).encode())


@pytest.mark.parametrize("name", ["replicas", "http", "http_until", "at"])
def test_a_field_that_is_missing_is_refused(name: str) -> None:
    body = {key: value for key, value in BODY.items() if key != name}
    assert not is_read(present_of, json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(BODY | {"http": float("inf")}).encode(),
        json.dumps(BODY | {"replicas": {"one": [float("-inf"), 0, 0]}}).encode(),
        b"[" * 100_000,
    ],
    ids=["http", "replicas", "deep"],
)
def test_numbers_without_an_end_and_json_without_an_end_are_refused(body: bytes) -> None:
    assert not is_read(present_of, body)
