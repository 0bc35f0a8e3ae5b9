"""Notifications become rows."""

import pytest

from car_protocol.notifications.error_codes import ErrorCodes
from car_protocol.notifications.notifier import LARGEST_NUMBER, Notifier
from ovms.db.writer import NotificationRow

NOW = 1000.75
WALL = 1_700_001_000
DAY = 86_400


def rows(*messages: bytes, days: int = 30, error_codes: ErrorCodes | None = None) -> list[NotificationRow]:
    put: list[NotificationRow] = []
    notifier = Notifier(put.append, lambda now: now + 1_700_000_000, days=days, error_codes=error_codes or ErrorCodes())
    for message in messages:
        notifier.notify(7, message, NOW)
    return put


@pytest.mark.parametrize("message", [b"IVehicle is charging\rSOC: 75%", b"AStopped!", b"UX1,\xff\x00", b"\x00x"])
def test_a_notification_is_kept_as_it_came(message: bytes) -> None:
    [row] = rows(message)
    assert row._replace(record_number=0) == NotificationRow(7, 0, WALL, message, WALL + 30 * DAY, is_pushed=True)


@pytest.mark.parametrize("message", [b"", b"A", b"E"])
def test_one_without_a_text_is_none(message: bytes) -> None:
    assert rows(message) == []


@pytest.mark.parametrize("days", [0, -1])
def test_one_that_is_not_kept_is_pushed_all_the_same(days: int) -> None:
    [row] = rows(b"AStopped!", days=days)
    assert row.expires_at is None
    assert row.is_pushed


def test_two_of_one_second_have_numbers_of_their_own() -> None:
    numbers = [row.record_number for row in rows(*[b"AStopped!"] * (LARGEST_NUMBER + 1))]
    assert len(set(numbers)) == LARGEST_NUMBER + 1
    assert min(numbers) == 0
    assert max(numbers) == LARGEST_NUMBER


CODES = ErrorCodes({"VA": {"5": "Battery: too hot", "6": "BMS: DMC: step %d"}})


def test_an_error_is_written_in_words() -> None:
    assert rows(b"EVA2,5,0", error_codes=CODES)[0].message == b"EVehicle Alert #5: Battery: too hot"


@pytest.mark.parametrize(
    ("message", "is_pushed"),
    [(b"EVA,5,0", True), (b"EVA,6,9", False), (b"ABMS: DMC: step 1", True), (b"EDMC,1,2", True)],
)
def test_an_error_for_developers_is_kept_and_not_pushed(message: bytes, *, is_pushed: bool) -> None:
    [row] = rows(message, error_codes=CODES)
    assert row.is_pushed is is_pushed
