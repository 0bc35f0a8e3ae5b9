"""L as cars send it."""

from dataclasses import asdict

from ovms.records import Freshness, Location, decode, encode
from unit.ovms.records.messages import LOCATION, SHORT_LOCATION


def test_whole_record() -> None:
    assert asdict(decode(Location, LOCATION)) == {
        "latitude": 22.274165,
        "longitude": 114.185715,
        "direction": 124.0,
        "altitude": 34.0,
        "gps_lock": True,
        "gps_freshness": Freshness.FRESH,
        "speed": 88.0,
        "trip": 123.4,
        "drive_mode": 1,
        "battery_power": -3.6,
        "energy_used": 1200.0,
        "energy_recovered": 320.0,
        "inverter_power": 7.5,
        "inverter_efficiency": 93.0,
        "gps_mode": "AA",
        "satellites": 9,
        "hdop": 1.1,
        "gps_speed": 87.0,
        "gps_quality": 98,
    }


def test_it_is_sent_as_it_came() -> None:
    assert encode(decode(Location, LOCATION)) == LOCATION


def test_drive_mode_is_hexadecimal() -> None:
    assert decode(Location, "22.280868,114.160598,131.4,36.1,1,1,0.0,123,a,-1.250").drive_mode == 10


def test_short_record() -> None:
    location = decode(Location, SHORT_LOCATION)

    assert (location.latitude, location.longitude) == (22.27, 114.18)
    assert set(list(asdict(location).values())[2:]) == {None}
