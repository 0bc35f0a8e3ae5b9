"""S as cars send it."""

from dataclasses import asdict

from ovms.records import DistanceUnit, Freshness, State, decode, encode
from unit.ovms.records.messages import SHORT_STATE, STATE

# One session of a current module: 42 fields, two decimals, then one from `range_speed` on.
FIRMWARE_3_3 = (
    "80.1,M,231,31.50,topoff,range,180,165,32,5400,0,123,3,2,3,1,7200,0,120.50,40,25,200,90,-1,0,0,0,25,40,225,0,"
    "6.60,395.20,97.00,7.10,93.00,-16.70,41.5,13.1,1520.4,60.2,1731345536"
)


def test_whole_record() -> None:
    assert asdict(decode(State, FIRMWARE_3_3)) == {
        "soc": 80.1,
        "units": DistanceUnit.MILES,
        "line_voltage": 231.0,
        "charge_current": 31.5,
        "charge_state": "topoff",
        "charge_mode": "range",
        "ideal_range": 180.0,
        "estimated_range": 165.0,
        "charge_limit": 32.0,
        "charge_duration": 5400,
        "charger_b4": 0,
        "charge_energy": 12.3,
        "charge_substate": 3,
        "charge_state_number": 2,
        "charge_mode_number": 3,
        "charge_timer": True,
        "charge_timer_start": 7200,
        "charge_timer_freshness": Freshness.STALE,
        "cac": 120.5,
        "time_to_full": 40,
        "time_to_limit": 25,
        "range_limit": 200.0,
        "soc_limit": 90.0,
        "cooling": False,
        "cooling_limit": 0.0,
        "cooling_time_limit": 0,
        "charge_estimate": 0,
        "time_to_range_limit": 25,
        "time_to_soc_limit": 40,
        "full_range": 225.0,
        "plug_type": 0,
        "charge_power": 6.6,
        "battery_voltage": 395.2,
        "soh": 97.0,
        "charge_power_input": 7.1,
        "charger_efficiency": 93.0,
        "battery_current": -16.7,
        "range_speed": 41.5,
        "grid_energy": 13.1,
        "grid_energy_total": 1520.4,
        "battery_capacity": 60.2,
        "charge_end": 1731345536,
    }


def test_conformance_record() -> None:
    state = decode(State, STATE)

    assert state.cooling is True
    assert state.charge_energy == 4.3
    assert state.charge_end is None  # 40.2 is no moment
    assert encode(state) == STATE.removesuffix(",40.2,0") + ","


def test_short_record() -> None:
    known = {name: value for name, value in asdict(decode(State, SHORT_STATE)).items() if value is not None}

    assert known == {
        "soc": 75.0,
        "units": DistanceUnit.KILOMETRES,
        "charge_current": 0.0,
        "charge_state": "stopped",
    }
