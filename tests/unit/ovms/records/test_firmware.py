"""F as cars send it."""

from dataclasses import asdict

from ovms.records import Firmware, decode, encode
from unit.ovms.records.messages import FIRMWARE


def test_whole_record() -> None:
    assert asdict(decode(Firmware, FIRMWARE)) == {
        "version": "3.3.004-12-g1a2b3c",
        "vin": "WVWZZZAUZFW000001",
        "signal": 23,
        "can_write": True,
        "vehicle_type": "VWEG",
        "network": "Hologram",
        "service_range": 12000,
        "service_time": 1_796_083_200,
        "hardware": "OVMS v3.1",
        "modem_mode": "LTE",
    }


def test_it_is_sent_as_it_came() -> None:
    assert encode(decode(Firmware, FIRMWARE)) == FIRMWARE
