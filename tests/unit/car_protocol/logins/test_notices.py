"""An owner hears once that his car's login fails, and once that it works again."""

import pytest

from car_protocol.logins import notices as module
from car_protocol.logins.notices import LoginNotices


@pytest.fixture
def told() -> list[tuple[int, bytes]]:
    return []


@pytest.fixture
def notices(told: list[tuple[int, bytes]]) -> LoginNotices:
    return LoginNotices(lambda vehicle, message, now: told.append((vehicle, message)))


def test_a_login_that_works_is_no_news(notices: LoginNotices, told: list[tuple[int, bytes]]) -> None:
    notices.succeeded(1, "192.0.2.1", 0)
    assert told == []


def test_the_first_failure_and_the_first_success_after_it_are(notices: LoginNotices, told: list[tuple[int, bytes]]) -> None:
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        notices.failed(1, address, 0)
    notices.failed(2, "192.0.2.9", 0)
    for address in ("192.0.2.3", "192.0.2.4"):
        notices.succeeded(1, address, 0)
    notices.failed(1, "192.0.2.5", 0)
    assert told == [
        (1, b"AVehicle authentication failed (192.0.2.1)"),
        (2, b"AVehicle authentication failed (192.0.2.9)"),
        (1, b"AVehicle authentication successful (192.0.2.3)"),
        (1, b"AVehicle authentication failed (192.0.2.5)"),
    ]


def test_so_many_are_remembered(notices: LoginNotices, told: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 3)
    for vehicle in range(1, 5):
        notices.failed(vehicle, "x", 0)
    assert len(notices._failing) == 3
    told.clear()
    notices.succeeded(1, "x", 0)
    notices.succeeded(4, "x", 0)
    assert [vehicle for vehicle, _ in told] == [4]
