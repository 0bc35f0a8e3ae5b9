"""What history records tell: where a car was, unless it is known that they do not; notifications."""

import pytest

from ovms.records.logs import NotificationKind, read_notification, tells_where, without_positions


@pytest.mark.parametrize("record_type", ["*-LOG-Trip", "", "new", "RT-GPS-Log", "*-Log-Notification", "L", "d", "d "])
def test_a_type_may_tell_where_the_car_was(record_type: str) -> None:
    assert tells_where(record_type)


@pytest.mark.parametrize("record_type", ["*-OVM-Utilisation", "*-OVM-DebugTasks", "D", "S"])
def test_unless_it_is_known_not_to(record_type: str) -> None:
    assert not tells_where(record_type)


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        ("I,Vehicle is charging\rSOC: 75%", NotificationKind.INFO, "Vehicle is charging\nSOC: 75%"),
        ("A,a, b\r\nc", NotificationKind.ALERT, "a, b\nc"),
        ("E,Vehicle Alert #1: x", NotificationKind.ERROR, "Vehicle Alert #1: x"),
        ("U,1,2", NotificationKind.DATA, "1,2"),
        ("x,y", NotificationKind.OTHER, "y"),
        ("", NotificationKind.OTHER, ""),
    ],
)
def test_notifications(data: str, kind: NotificationKind, text: str) -> None:
    assert read_notification(data) == (kind, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("possible theft/flatbed (@47.226612,8.817605)", "possible theft/flatbed (@…,…)"),
        ("at -33.8688 / +151.2093", "at … / …"),
        ("https://maps.example/?q=47.2266123,8.8176", "https://maps.example/?q=…,…"),
        ("SOC: 75.5%, 12.34 V, 3.250 kWh", "SOC: 75.5%, 12.34 V, 3.250 kWh"),
        ("3.3.004-12", "3.3.004-12"),
    ],
)
def test_coordinates_are_left_out(text: str, expected: str) -> None:
    assert without_positions(text) == expected
