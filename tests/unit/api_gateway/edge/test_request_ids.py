"""Ids of requests: taken where they are well-formed, made otherwise."""

import re

import pytest

from api_gateway.edge.request_ids import request_id

OURS = re.compile(r"[0-9a-f]{16}")


@pytest.mark.parametrize("given", [b"a", b"0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a", b"A._-9", b"x" * 64])
def test_a_well_formed_id_is_taken(given: bytes) -> None:
    assert request_id([(b"host", b"x"), (b"x-request-id", given)]) == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\n", b'a"', b"\xff", b"{}", b"a=b"])
def test_another_is_replaced(given: bytes) -> None:
    assert OURS.fullmatch(request_id([(b"x-request-id", given)]))


def test_one_is_made_where_there_is_none() -> None:
    one, other = request_id([]), request_id([])
    assert OURS.fullmatch(one)
    assert one != other


def test_the_first_of_several_counts() -> None:
    assert request_id([(b"x-request-id", b"one"), (b"x-request-id", b"two")]) == "one"
