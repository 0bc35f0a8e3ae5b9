"""S: the state of the battery and of charging."""

from typing import Annotated

from ovms.records.columns import Column, Sign
from ovms.records.freshness import Freshness
from ovms.records.record import Record, record
from ovms.records.units import DISTANCE, FIRST_DATE, LONGEST_TIME, SPEED, DistanceUnit


@record("S")
class State(Record):
    """State of the battery and of charging. Firmware: TransmitMsgStat."""

    soc: Annotated[float | None, Column("State of charge", "soc", unit="%", least=0)]
    units: Annotated[DistanceUnit | None, Column("Unit of distances and speeds", "units")]
    line_voltage: Annotated[float | None, Column("Line voltage", "linevoltage", unit="V")]
    charge_current: Annotated[float | None, Column("Charge current", "chargecurrent", unit="A")]
    charge_state: Annotated[str | None, Column("Charge state (charging, topoff, done, stopped…)", "chargestate")]
    charge_mode: Annotated[str | None, Column("Charge mode (standard, storage, range, performance)", "mode")]
    ideal_range: Annotated[float | None, Column("Ideal range", "idealrange", unit=DISTANCE, least=0)]
    estimated_range: Annotated[float | None, Column("Estimated range", "estimatedrange", unit=DISTANCE, least=0)]
    charge_limit: Annotated[float | None, Column("Charge current limit", "chargelimit", unit="A")]
    # Firmware: AsInt(0, Seconds); the manual says minutes.
    charge_duration: Annotated[int | None, Column("Time charged so far", "chargeduration", unit="s", least=0)]
    charger_b4: Annotated[int | None, Column("Byte B4 of the charger, 0 from current modules", "chargeb4")]
    # Firmware: whole tenths, as the manual says; the reference hands them on without naming a unit.
    charge_energy: Annotated[float | None, Column("Energy charged", "chargekwh", unit="kWh", per=10)]
    charge_substate: Annotated[int | None, Column("Charge sub-state as a number", "chargesubstate")]
    charge_state_number: Annotated[int | None, Column("Charge state as a number")]
    charge_mode_number: Annotated[int | None, Column("Charge mode as a number", least=0)]
    charge_timer: Annotated[bool | None, Column("Charging starts by the timer", "chargetimermode")]
    # Firmware: a metric of kind TimeUTC, seconds of the day; the manual names no unit.
    charge_timer_start: Annotated[
        int | None, Column("Start of the charge timer after midnight UTC", "chargestarttime", unit="s", least=0)
    ]
    # Firmware: always 0, which the manual calls stale.
    charge_timer_freshness: Annotated[Freshness | None, Column("Age of the charge timer", "chargetimerstale")]
    cac: Annotated[float | None, Column("Calculated amp hour capacity", "cac100", unit="Ah")]
    time_to_full: Annotated[
        int | None, Column("Time to a full battery", "charge_etr_full", unit="min", least=0, most=LONGEST_TIME)
    ]
    time_to_limit: Annotated[
        int | None, Column("Time to the first charge limit", "charge_etr_limit", unit="min", least=0, most=LONGEST_TIME)
    ]
    range_limit: Annotated[float | None, Column("Range to charge to", "charge_limit_range", unit=DISTANCE, least=0)]
    soc_limit: Annotated[float | None, Column("State of charge to charge to", "charge_limit_soc", unit="%", least=0)]
    # Firmware: 0 while cooling, else -1 (older modules: 0 and more while cooling); the manual says 0 no, 1 yes.
    cooling: Annotated[bool | None, Sign("Battery is being cooled", "cooldown_active")]
    cooling_limit: Annotated[float | None, Column("Temperature to cool to", "cooldown_tbattery", unit="degC")]
    cooling_time_limit: Annotated[int | None, Column("Time limit of cooling", "cooldown_timelimit", unit="min", least=0)]
    charge_estimate: Annotated[
        int | None, Column("Estimated charge time with this charger", "charge_estimate", unit="min", least=0, most=LONGEST_TIME)
    ]
    time_to_range_limit: Annotated[
        int | None, Column("Time to the range limit", "charge_etr_range", unit="min", least=0, most=LONGEST_TIME)
    ]
    time_to_soc_limit: Annotated[
        int | None, Column("Time to the SOC limit", "charge_etr_soc", unit="min", least=0, most=LONGEST_TIME)
    ]
    full_range: Annotated[float | None, Column("Ideal range when full", "idealrange_max", unit=DISTANCE, least=0)]
    # Firmware: always 0; the manual says a connection type of OpenChargeMap.
    plug_type: Annotated[int | None, Column("Plug type, 0 from current modules", "chargetype")]
    charge_power: Annotated[float | None, Column("Power into the battery", "chargepower", unit="kW")]
    battery_voltage: Annotated[float | None, Column("Battery voltage", "battvoltage", unit="V")]
    soh: Annotated[float | None, Column("State of health", "soh", unit="%")]
    charge_power_input: Annotated[float | None, Column("Charge power input", "chargepowerinput", unit="kW")]
    charger_efficiency: Annotated[float | None, Column("Charger efficiency", "chargerefficiency", unit="%")]
    battery_current: Annotated[float | None, Column("Battery current", "batt_current", unit="A")]
    range_speed: Annotated[float | None, Column("Ideal range gained", "batt_range_speed", unit=SPEED)]
    # Firmware: v.c.kwh.grid, drawn in this session; the manual's list is one metric off here and below.
    grid_energy: Annotated[float | None, Column("Energy drawn from the grid", "charge_kwh_grid", unit="kWh")]
    # Firmware: v.c.kwh.grid.total, drawn in the car's life; the manual says in this session.
    grid_energy_total: Annotated[
        float | None, Column("Energy drawn from the grid, life time", "charge_kwh_grid_total", unit="kWh")
    ]
    battery_capacity: Annotated[float | None, Column("Usable capacity", "batt_capacity", unit="kWh")]
    # Firmware: the moment, through a 32-bit float (steps of 128 s), -1 for none; the reference does not read it.
    charge_end: Annotated[int | None, Column("End of the last charge since 1970 (UTC)", unit="s", least=FIRST_DATE)]
