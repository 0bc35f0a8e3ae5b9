"""W: four wheels, from modules and for apps older than Y."""

from typing import Annotated

from ovms.records.columns import Column
from ovms.records.freshness import Freshness
from ovms.records.record import Record, record


@record("W")
class FourTyres(Record):
    """Four wheels, from modules and for apps older than Y. Firmware: the end of TransmitMsgTPMS."""

    front_right_pressure: Annotated[float | None, Column("Pressure, front right", "fr_pressure", unit="psi")]
    # Firmware: 1 stands for no temperature as well, here and below, for an app that needs one.
    front_right_temperature: Annotated[float | None, Column("Temperature, front right", "fr_temperature", unit="degC")]
    rear_right_pressure: Annotated[float | None, Column("Pressure, rear right", "rr_pressure", unit="psi")]
    rear_right_temperature: Annotated[float | None, Column("Temperature, rear right", "rr_temperature", unit="degC")]
    front_left_pressure: Annotated[float | None, Column("Pressure, front left", "fl_pressure", unit="psi")]
    front_left_temperature: Annotated[float | None, Column("Temperature, front left", "fl_temperature", unit="degC")]
    rear_left_pressure: Annotated[float | None, Column("Pressure, rear left", "rl_pressure", unit="psi")]
    rear_left_temperature: Annotated[float | None, Column("Temperature, rear left", "rl_temperature", unit="degC")]
    freshness: Annotated[Freshness | None, Column("Age of the measurements", "staletpms")]
