"""Y: any number of wheels."""

from enum import IntEnum
from typing import Annotated

from ovms.records.columns import Column, Counted
from ovms.records.freshness import Freshness
from ovms.records.record import Record, record


class AlertLevel(IntEnum):
    """How much a tyre needs its driver: 0 not, 1 warning, 2 alert."""

    NONE = 0
    WARNING = 1
    ALERT = 2


@record("Y")
class Tyres(Record):
    """Any number of wheels: value i belongs to wheel i. Firmware: TransmitMsgTPMS."""

    wheels: Annotated[tuple[str | None, ...] | None, Counted("Names of the wheels")]
    pressures: Annotated[tuple[float | None, ...] | None, Counted("Pressures", "pressure_kpa", unit="kPa")]
    pressures_freshness: Annotated[Freshness | None, Column("Age of the pressures", "stale_pressure")]
    temperatures: Annotated[tuple[float | None, ...] | None, Counted("Temperatures", "temperature", unit="degC")]
    temperatures_freshness: Annotated[Freshness | None, Column("Age of the temperatures", "stale_temperature")]
    healths: Annotated[tuple[float | None, ...] | None, Counted("Health states", "health", unit="%")]
    healths_freshness: Annotated[Freshness | None, Column("Age of the health states", "stale_health")]
    alerts: Annotated[tuple[AlertLevel | None, ...] | None, Counted("Alert levels", "alert")]
    alerts_freshness: Annotated[Freshness | None, Column("Age of the alert levels", "stale_alert")]
    sensors: Annotated[tuple[int | None, ...] | None, Counted("Sensor of each wheel, from 0")]
    sensors_freshness: Annotated[Freshness | None, Column("Whether sensors are mapped: 1 yes, -1 no")]
