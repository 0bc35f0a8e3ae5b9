"""F: the module and its network."""

from typing import Annotated

from ovms.records.columns import Column
from ovms.records.record import Record, record
from ovms.records.units import FIRST_DATE


@record("F")
class Firmware(Record):
    """The module, its network and the next service. Firmware: TransmitMsgFirmware."""

    version: Annotated[str | None, Column("Version of the module's firmware")]
    vin: Annotated[str | None, Column("Vehicle identification number")]
    signal: Annotated[int | None, Column("Signal of the network, 0 to 31 (SQ units)", least=0, most=31)]
    # Firmware: the text of the setting `vehicle canwrite`, which apps set to 0 or 1.
    can_write: Annotated[bool | None, Column("Module may write to the CAN bus")]
    vehicle_type: Annotated[str | None, Column("Code of the vehicle's type")]
    network: Annotated[str | None, Column("Name of the network: WiFi SSID or provider")]
    service_range: Annotated[int | None, Column("Distance to the next service", unit="km", least=0)]
    # Firmware: the moment, through a 32-bit float (steps of 128 s); the manual says the time until then.
    service_time: Annotated[int | None, Column("Next service since 1970 (UTC)", unit="s", least=FIRST_DATE)]
    hardware: Annotated[str | None, Column("Version of the module's hardware")]
    modem_mode: Annotated[str | None, Column("Connection mode and status of the modem")]
