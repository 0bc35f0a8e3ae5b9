"""L: where the car is and how it drives."""

from typing import Annotated

from ovms.records.columns import Column
from ovms.records.freshness import Freshness
from ovms.records.record import Record, record
from ovms.records.units import DISTANCE, SPEED


@record("L")
class Location(Record):
    """Where the car is and how it drives. Firmware: TransmitMsgGPS."""

    latitude: Annotated[float | None, Column("Latitude", "latitude", unit="deg", least=-90, most=90)]
    longitude: Annotated[float | None, Column("Longitude", "longitude", unit="deg", least=-180, most=180)]
    direction: Annotated[float | None, Column("Heading", "direction", unit="deg")]
    altitude: Annotated[float | None, Column("Altitude", "altitude", unit="m")]
    gps_lock: Annotated[bool | None, Column("Position is fixed", "gpslock")]
    gps_freshness: Annotated[Freshness | None, Column("Age of the position", "stalegps")]
    speed: Annotated[float | None, Column("Speed", "speed", unit=SPEED)]
    trip: Annotated[float | None, Column("Trip meter", "tripmeter", unit=DISTANCE, per=10, least=0)]
    # Firmware: printed with "%x"; the manual and the reference do not say that it is hexadecimal.
    drive_mode: Annotated[int | None, Column("Drive mode, its meaning is the car's", "drivemode", base=16)]
    battery_power: Annotated[float | None, Column("Battery power, negative charges", "power", unit="kW")]
    # Firmware: v.b.energy.used, in kWh; the manual says Wh, here and below.
    energy_used: Annotated[float | None, Column("Energy used on this trip", "energyused", unit="kWh")]
    # Firmware: v.b.energy.recd, in kWh.
    energy_recovered: Annotated[float | None, Column("Energy recovered on this trip", "energyrecd", unit="kWh")]
    inverter_power: Annotated[float | None, Column("Inverter power, positive drives", "invpower", unit="kW")]
    inverter_efficiency: Annotated[float | None, Column("Inverter efficiency", "invefficiency", unit="%")]
    gps_mode: Annotated[str | None, Column("Modes of the GPS and GLONASS receivers, a letter each")]
    satellites: Annotated[int | None, Column("Satellites in use", least=0)]
    hdop: Annotated[float | None, Column("Horizontal dilution of precision, the lower the better", least=0)]
    gps_speed: Annotated[float | None, Column("Speed over ground", unit=SPEED)]
    gps_quality: Annotated[
        int | None, Column("Quality of the signal, good from 50, poor below 30", unit="%", least=0, most=100)
    ]


def has_place(location: Location) -> bool:
    """Return whether a record has a position: a module without a fix and without a stored position sends 0 for both axes.

    A position without a fix is one: the module keeps that of the parking place.
    """
    if location.latitude is None or location.longitude is None:
        return False
    return bool(location.gps_lock) or location.latitude != 0 or location.longitude != 0
