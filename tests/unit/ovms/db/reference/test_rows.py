"""What rows become, where a real MariaDB keeps no such row: its tables may have been changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ovms.db.reference.rows import (
    LeftOut,
    read_configuration,
    read_message,
    read_owner,
    read_record,
    read_subscription,
    read_token,
    read_vehicle,
    vehicle_of,
)
from ovms.db.reference.source import Row

OWNER = {"owner": b"1", "name": b"Ann", "mail": b"", "pass": b"", "status": b"1", "deleted": b"0"}
CAR = {"owner": b"1", "vehicleid": b"CAR1", "carpass": b"p", "v_ptoken": b"", "v_lastupdate": b"", "deleted": b"0"}
MESSAGE = {
    "m_code": b"S",
    "m_valid": b"1",
    "m_msgtime": b"2026-01-02 03:04:05",
    "m_paranoid": b"1",
    "m_ptoken": b"",
    "m_msg": b"",
}
TOKEN = {
    "owner": b"1",
    "token": b"A" * 64,
    "application": b"",
    "purpose": b"",
    "permit": b"",
    **dict.fromkeys(("created", "refreshed", "lastused"), b"0000-00-00 00:00:00"),
}
SUBSCRIPTION = {
    "appid": b"a",
    "pushtype": b"gcm",
    "pushkeytype": b"",
    "pushkeyvalue": b"k",
    "lastupdated": b"2026-02-30 00:00:00",
    "active": b"1",
}
CONFIGURATION = {
    "ap_key": b"VIN",
    "ap_stoken": b"t",
    "ap_sdigest": b"d" * 24,
    "ap_msg": b"AAAA",
    "deleted": b"0",
    "owner": b"0",
}


@pytest.mark.parametrize(
    ("read", "row", "reason"),
    [
        (read_owner, OWNER | {"name": b"\xff"}, "not UTF-8"),
        (read_owner, OWNER | {"name": b"a\0"}, "NUL"),
        (read_owner, OWNER | {"status": b""}, "blocked"),
        (read_vehicle, CAR | {"vehicleid": b"\xff"}, "id"),
        (read_vehicle, CAR | {"vehicleid": b"A" * 33}, "id"),
        (read_vehicle, CAR | {"v_ptoken": b"\xff"}, "not UTF-8"),
        (read_message, MESSAGE | {"m_code": b""}, "code"),
        (read_message, MESSAGE | {"m_code": b"\xff"}, "code"),
        (read_message, MESSAGE | {"m_msgtime": b""}, "time"),
        (read_message, MESSAGE | {"m_msgtime": b"2026-02-30 00:00:00"}, "time"),
        (read_message, MESSAGE | {"m_ptoken": b"\0"}, "NUL"),
        (read_token, TOKEN | {"token": b"\xff" * 64}, "64"),
        (read_token, TOKEN | {"permit": b"\xff"}, "not UTF-8"),
        (read_subscription, SUBSCRIPTION | {"pushkeyvalue": b"a b"}, "key"),
        (read_subscription, SUBSCRIPTION | {"pushtype": b"apns", "pushkeyvalue": b"{length=32"}, "key"),
        (read_subscription, SUBSCRIPTION | {"pushtype": b"mail", "pushkeyvalue": b"-"}, "key"),
        (read_subscription, SUBSCRIPTION | {"appid": b""}, "app"),
        (read_configuration, CONFIGURATION | {"ap_stoken": b"a b"}, "word"),
        (read_configuration, CONFIGURATION | {"ap_msg": b""}, "empty"),
        (read_configuration, CONFIGURATION | {"ap_msg": b"AA\n"}, "base64"),
    ],
)
def test_a_row_that_has_no_place_here(read: Callable[[Row], object], row: Row, reason: str) -> None:
    with pytest.raises(LeftOut, match=reason):
        read(row)


def test_a_token_is_folded_and_times_that_do_not_exist_are_unknown() -> None:
    token = read_token(TOKEN)
    assert (token.token, token.created_at) == ("a" * 64, None)
    assert read_subscription(SUBSCRIPTION).updated_at is None


def test_a_password_is_the_bytes_that_are_stored() -> None:
    assert read_vehicle(CAR | {"carpass": b"\xff\0"}).password == b"\xff\0"


def test_an_address_that_cannot_be_printed_is_none() -> None:
    assert read_owner(OWNER | {"mail": b"a\r\nb"}).email == ""


def test_a_record_is_kept_as_it_is_until_it_expires() -> None:
    row = {
        "h_recordtype": b"a\xff\0b",
        "h_recordnumber": b"-3",
        "h_timestamp": b"1969-12-31 23:59:59",
        "h_expires": b"2026-01-01 00:00:00",
        "h_data": b"\0\xff",
    }
    end = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(LeftOut, match="expired"):
        read_record(row, end)
    record = read_record(row, end.replace(year=2025))
    assert (record.record_type, record.number, record.data, record.expires_at) == ("a\ufffdb", -3, b"\0\xff", end)


def test_two_spellings_of_a_vehicle_are_one_vehicle() -> None:
    assert vehicle_of(CAR) == vehicle_of(CAR | {"vehicleid": b"car1 "}) == (1, "CAR1")
