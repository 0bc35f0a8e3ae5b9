"""What the car says of a moment: its eight records."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ovms.records import (
    DistanceUnit,
    Doors1,
    Doors2,
    Doors3,
    Doors4,
    Doors5,
    Environment,
    Freshness,
    Location,
    LockState,
    Record,
    State,
    encode,
)
from simulator.controls import Controls
from simulator.equipment import capabilities, firmware, four_tyres, generator, tyres
from simulator.journey import CAPACITY, CHARGE_POWER, CHARGE_TO, Moment, Phase
from simulator.temperatures import ambient_temperature, warmth

FULL_RANGE: Final = 250.0  # km
TOP_OFF: Final = 85.0  # %
MODES: Final[Mapping[int, str]] = MappingProxyType({0: "standard", 1: "storage", 3: "range", 4: "performance"})

# Firmware: the numbers of charge states and sub-states in vehicle.cpp (chargestate_key, chargesubstate_key).
_STATE_NUMBERS: Final[Mapping[str, int]] = MappingProxyType({"charging": 1, "topoff": 2, "done": 4, "stopped": 21})
_ON_REQUEST: Final = 3
_POWER_WAIT: Final = 7


def charge_state(moment: Moment) -> str:
    """The word for how the charge stands."""
    if moment.phase is Phase.CHARGING:
        return "topoff" if moment.soc >= TOP_OFF else "charging"
    return "done" if moment.soc >= CHARGE_TO - 0.5 else "stopped"


def state(moment: Moment, controls: Controls) -> State:
    """S."""
    charging = moment.phase is Phase.CHARGING
    ideal = FULL_RANGE * moment.soc / 100
    minutes_left = round(moment.left / 60) if charging else 0
    return State(
        soc=round(moment.soc, 1),
        units=DistanceUnit.KILOMETRES,
        line_voltage=230 if charging else 0,
        charge_current=16 if charging else 0,
        charge_state=charge_state(moment),
        charge_mode=MODES.get(controls.charge_mode, MODES[0]),
        ideal_range=round(ideal),
        estimated_range=round(ideal * 0.92),
        charge_limit=controls.charge_limit,
        charge_duration=round(moment.since) if charging else 0,
        charger_b4=0,
        charge_energy=round(moment.charged, 1),
        charge_substate=_ON_REQUEST if charging else _POWER_WAIT,
        charge_state_number=_STATE_NUMBERS[charge_state(moment)],
        charge_mode_number=controls.charge_mode,
        charge_timer=False,
        charge_timer_start=0,
        charge_timer_freshness=Freshness.STALE,
        cac=112.5,
        time_to_full=minutes_left,
        time_to_limit=minutes_left,
        range_limit=0,
        soc_limit=CHARGE_TO,
        cooling=False,
        cooling_limit=0,
        cooling_time_limit=0,
        charge_estimate=minutes_left,
        time_to_range_limit=0,
        time_to_soc_limit=minutes_left,
        full_range=FULL_RANGE,
        plug_type=0,
        charge_power=CHARGE_POWER if charging else 0,
        battery_voltage=round(330 + 0.7 * moment.soc, 1),
        soh=97.5,
        charge_power_input=round(CHARGE_POWER / 0.93, 2) if charging else 0,
        charger_efficiency=93 if charging else 0,
        battery_current=round(1000 * moment.power / (330 + 0.7 * moment.soc), 1),
        range_speed=round(FULL_RANGE * CHARGE_POWER / CAPACITY, 1) if charging else 0,
        grid_energy=round(moment.charged / 0.93, 2),
        grid_energy_total=round(0.2 * moment.odometer, 1),
        battery_capacity=CAPACITY,
        charge_end=None,
    )


def environment(moment: Moment, controls: Controls) -> Environment:
    """D."""
    ambient = ambient_temperature(moment)
    heat = warmth(moment)
    return Environment(
        doors_1=_doors_1(moment),
        doors_2=(Doors2.LOCKED if _is_locked(moment, controls) else Doors2(0)) | (Doors2.VALET_MODE * controls.valet),
        lock_state=LockState.LOCKED if _is_locked(moment, controls) else LockState.UNLOCKED,
        pem_temperature=round(ambient + 18 * heat),
        motor_temperature=round(ambient + 32 * heat),
        battery_temperature=round(ambient + 8 * heat),
        trip=round(moment.trip, 1),
        odometer=round(moment.odometer, 1),
        speed=round(moment.speed),
        parking_time=0 if moment.phase is Phase.DRIVING else round(moment.since),
        ambient_temperature=round(ambient),
        doors_3=Doors3(0) if moment.phase is Phase.PARKED else Doors3.AWAKE,
        temperatures_freshness=Freshness.FRESH,
        ambient_freshness=Freshness.FRESH,
        voltage_12v=12.6 if moment.phase is Phase.PARKED else 14.2,
        doors_4=Doors4(0),
        reference_12v=12.6,
        doors_5=Doors5(0) if moment.phase is Phase.PARKED else Doors5.CHARGING_12V,
        charger_temperature=round(ambient + (15 if moment.phase is Phase.CHARGING else 0)),
        current_12v=-0.4 if moment.phase is Phase.PARKED else 6.5,
        cabin_temperature=round(ambient + (21 - ambient) * heat),
    )


def location(moment: Moment, controls: Controls) -> Location:
    """L."""
    place = moment.position.place
    driving = moment.phase is Phase.DRIVING
    return Location(
        latitude=round(place.latitude, 6),
        longitude=round(place.longitude, 6),
        direction=round(moment.position.heading),
        altitude=round(place.altitude),
        gps_lock=True,
        gps_freshness=Freshness.FRESH,
        speed=round(moment.speed, 1),
        trip=round(moment.trip, 1),
        drive_mode=1,
        battery_power=round(moment.power, 2),
        energy_used=round(moment.energy_used, 3),
        energy_recovered=round(moment.energy_recovered, 3),
        inverter_power=round(0.97 * moment.power, 2) if driving else 0,
        inverter_efficiency=97 if driving else 0,
        gps_mode="AA",
        satellites=11,
        hdop=0.9,
        gps_speed=round(moment.speed, 1),
        gps_quality=94,
    )


RECORDS: Final[Mapping[str, Callable[[Moment, Controls], Record]]] = MappingProxyType(
    {
        "F": firmware,
        "V": capabilities,
        "S": state,
        "D": environment,
        "L": location,
        "Y": tyres,
        "W": four_tyres,
        "X": generator,
    }
)
"""How each record is made; all of them at once are sent in this order."""


def message(code: str, moment: Moment, controls: Controls) -> bytes:
    """The message that carries a record."""
    return (code + encode(RECORDS[code](moment, controls))).encode()


def _is_locked(moment: Moment, controls: Controls) -> bool:
    return controls.locked and moment.phase is not Phase.DRIVING


def _doors_1(moment: Moment) -> Doors1:
    if moment.phase is Phase.DRIVING:
        return Doors1.CAR_ON
    if moment.phase is Phase.CHARGING:
        return Doors1.HAND_BRAKE | Doors1.CHARGE_PORT | Doors1.PILOT | Doors1.CHARGING
    return Doors1.HAND_BRAKE
