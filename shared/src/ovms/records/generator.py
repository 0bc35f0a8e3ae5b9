"""X: the car as a generator."""

from typing import Annotated

from ovms.records.columns import Column
from ovms.records.record import Record, record
from ovms.records.units import DISTANCE, FIRST_DATE, LONGEST_TIME


@record("X")
class Generator(Record):
    """The car as a generator, that is power that it exports. Firmware: TransmitMsgGen."""

    generating: Annotated[bool | None, Column("Delivering power")]
    pilot: Annotated[bool | None, Column("Pilot signal present")]
    voltage: Annotated[float | None, Column("Voltage", unit="V")]
    current: Annotated[float | None, Column("Current", unit="A")]
    power: Annotated[float | None, Column("Power", unit="kW")]
    efficiency: Annotated[float | None, Column("Efficiency", unit="%")]
    connection: Annotated[str | None, Column("Type of the connection (chademo, ccs…)")]
    state: Annotated[str | None, Column("State (exporting, stopped…)")]
    substate: Annotated[str | None, Column("Sub-state (onrequest, timerwait…)")]
    mode: Annotated[str | None, Column("Mode (standard…)")]
    current_limit: Annotated[float | None, Column("Current limit", unit="A")]
    # Firmware: in the car's unit of distance; the manual says km.
    range_limit: Annotated[float | None, Column("Range to stop at", unit=DISTANCE, least=0)]
    soc_limit: Annotated[int | None, Column("State of charge to stop at", unit="%", least=0)]
    energy: Annotated[float | None, Column("Energy generated in this session", unit="kWh")]
    grid_energy: Annotated[float | None, Column("Energy sent to the grid in this session", unit="kWh")]
    grid_energy_total: Annotated[float | None, Column("Energy sent to the grid, life time", unit="kWh")]
    duration: Annotated[int | None, Column("Time generated so far", unit="s", least=0)]
    timer: Annotated[bool | None, Column("Generating starts by the timer")]
    # Firmware: a metric of kind TimeUTC, seconds of the day; the manual names no unit.
    timer_start: Annotated[int | None, Column("Start of the timer after midnight UTC", unit="s", least=0)]
    time_to_empty: Annotated[int | None, Column("Time to an empty battery", unit="min", least=0, most=LONGEST_TIME)]
    time_to_range_limit: Annotated[int | None, Column("Time to the range limit", unit="min", least=0, most=LONGEST_TIME)]
    time_to_soc_limit: Annotated[int | None, Column("Time to the SOC limit", unit="min", least=0, most=LONGEST_TIME)]
    temperature: Annotated[float | None, Column("Temperature of the charger", unit="degC")]
    # Firmware: the moment, through a 32-bit float (steps of 128 s), -1 for none.
    end: Annotated[int | None, Column("End of the last generation since 1970 (UTC)", unit="s", least=FIRST_DATE)]
