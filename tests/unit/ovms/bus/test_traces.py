"""Of which trace a message is."""

import pytest

from ovms.bus.traces import Traced, read_traced, traced

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_is_written_is_read() -> None:
    assert traced(ord("S"), PARENT) == f"trace 83 {PARENT}".encode()
    assert read_traced(traced(255, PARENT)) == Traced(255, PARENT)


@pytest.mark.parametrize("body", [b"", b"trace", b"trace 83", b"traces 83 x", b"trace S x", b"trace 256 x", b"trace 83 \xff"])
def test_what_is_malformed_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_traced(body)
