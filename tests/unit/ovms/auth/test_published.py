"""Published credentials are for loopback alone."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from car_protocol.logins.credentials import may_use
from ovms.auth.published import is_loopback, is_published, is_published_for_vehicle


@pytest.mark.parametrize(("name", "password"), [("demo", "demo"), ("DEMO", "demo")])
def test_the_demo_owner_is_published(name: str, password: str) -> None:
    assert is_published(name, password)
    assert not is_published(name, "another")
    assert not is_published("anna", password)


def test_the_demo_vehicle_is_published() -> None:
    assert is_published_for_vehicle("demo", b"DEMO")
    assert not is_published_for_vehicle("DEMO", b"another")
    assert not is_published_for_vehicle("MYCAR", b"DEMO")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "2001:db8::1", "::", "", "nowhere"])
def test_what_is_not_loopback(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("address", "vehicle_id", "secret", "expected"),
    [
        ("127.0.0.1", "DEMO", b"DEMO", True),
        ("192.0.2.7", "DEMO", b"DEMO", False),
        ("192.0.2.7", "demo", b"DEMO", False),
        ("192.0.2.7", "DEMO", b"of its own", True),
        ("192.0.2.7", "MYCAR", b"DEMO", True),
    ],
)
def test_the_published_password_of_the_vehicle_counts_on_loopback_alone(
    address: str, vehicle_id: str, secret: bytes, expected: bool
) -> None:
    caller, vehicle = SimpleNamespace(address=address), SimpleNamespace(vehicle_id=vehicle_id)
    assert may_use(cast("Any", caller), cast("Any", vehicle), secret) is expected
