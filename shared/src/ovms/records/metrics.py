"""The firmware's own names of what the records carry: `v.b.soc` and so on, as its MQTT server publishes them.

What the server protocol carries in another form than the metric has (the number of a charge state) is left out, and of two
fields of one metric the one that loses less counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ovms.records.columns import Bits, Flags
from ovms.records.environment import Doors1, Doors2, Doors3, Doors4, Doors5, Environment
from ovms.records.firmware import Firmware
from ovms.records.generator import Generator
from ovms.records.location import Location
from ovms.records.record import Record
from ovms.records.state import State
from ovms.records.tyres import Tyres


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: the field that carries it, or the bit of a field."""

    name: str
    record: type[Record]
    field: str
    title: str
    unit: str | None
    bit: Bits | None = None

    def value(self, record: Record) -> object:
        """The metric's value in a record; None where the car does not say."""
        value = getattr(record, self.field)
        return value if self.bit is None or value is None else bool(value & self.bit)


_FIELDS: Final[Mapping[type[Record], str]] = {
    State: """
        soc=v.b.soc line_voltage=v.c.voltage charge_current=v.c.current charge_state=v.c.state charge_mode=v.c.mode
        ideal_range=v.b.range.ideal estimated_range=v.b.range.est charge_limit=v.c.climit charge_duration=v.c.time
        charge_energy=v.c.kwh charge_timer=v.c.timermode charge_timer_start=v.c.timerstart cac=v.b.cac
        time_to_full=v.c.duration.full range_limit=v.c.limit.range soc_limit=v.c.limit.soc
        time_to_range_limit=v.c.duration.range time_to_soc_limit=v.c.duration.soc full_range=v.b.range.full
        battery_voltage=v.b.voltage soh=v.b.soh charge_power_input=v.c.power charger_efficiency=v.c.efficiency
        battery_current=v.b.current range_speed=v.b.range.speed grid_energy=v.c.kwh.grid
        grid_energy_total=v.c.kwh.grid.total battery_capacity=v.b.capacity charge_end=v.c.timestamp""",
    Environment: """
        pem_temperature=v.i.temp motor_temperature=v.m.temp battery_temperature=v.b.temp trip=v.p.trip odometer=v.p.odometer
        speed=v.p.speed parking_time=v.e.parktime ambient_temperature=v.e.temp voltage_12v=v.b.12v.voltage
        reference_12v=v.b.12v.voltage.ref charger_temperature=v.c.temp current_12v=v.b.12v.current
        cabin_temperature=v.e.cabintemp""",
    Location: """
        latitude=v.p.latitude longitude=v.p.longitude direction=v.p.direction altitude=v.p.altitude gps_lock=v.p.gpslock
        drive_mode=v.e.drivemode battery_power=v.b.power energy_used=v.b.energy.used energy_recovered=v.b.energy.recd
        inverter_power=v.i.power inverter_efficiency=v.i.efficiency gps_mode=v.p.gpsmode satellites=v.p.satcount
        hdop=v.p.gpshdop gps_speed=v.p.gpsspeed gps_quality=v.p.gpssq""",
    Tyres: "pressures=v.t.pressure temperatures=v.t.temp healths=v.t.health alerts=v.t.alert",
    Firmware: """
        version=m.version vin=v.vin signal=m.net.sq vehicle_type=v.type network=m.net.provider service_range=v.e.serv.range
        service_time=v.e.serv.time hardware=m.hardware""",
    Generator: """
        generating=v.g.generating pilot=v.g.pilot voltage=v.g.voltage current=v.g.current power=v.g.power
        efficiency=v.g.efficiency connection=v.g.type state=v.g.state substate=v.g.substate mode=v.g.mode
        current_limit=v.g.climit range_limit=v.g.limit.range soc_limit=v.g.limit.soc energy=v.g.kwh grid_energy=v.g.kwh.grid
        grid_energy_total=v.g.kwh.grid.total duration=v.g.time timer=v.g.timermode timer_start=v.g.timerstart
        time_to_empty=v.g.duration.empty time_to_range_limit=v.g.duration.range time_to_soc_limit=v.g.duration.soc
        temperature=v.g.temp end=v.g.timestamp""",
}

# By set: bits of two sets that have one mask are equal as numbers.
_BITS: Final[Mapping[type[Bits], str]] = {
    Doors1: """
        front_left_door=v.d.fl front_right_door=v.d.fr charge_port=v.d.cp pilot=v.c.pilot charging=v.c.charging
        hand_brake=v.e.handbrake car_on=v.e.on""",
    Doors2: "locked=v.e.locked valet_mode=v.e.valet headlights=v.e.headlights bonnet=v.d.hood trunk=v.d.trunk",
    Doors3: """
        awake=v.e.awake cooling_pump=v.e.cooling controller_login=v.e.c.login controller_configuration=v.e.c.config""",
    Doors4: "alarm=v.e.alarm",
    Doors5: "rear_left_door=v.d.rl rear_right_door=v.d.rr charging_12v=v.e.charging12v aux_12v=v.e.aux12v hvac=v.e.hvac",
}


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


def _declared(record: type[Record], names: Mapping[str, str]) -> Iterator[Metric]:
    for field in record.fields:
        if field.name in names:
            yield Metric(names[field.name], record, field.name, field.column.title, field.column.unit)
        elif isinstance(field.column, Flags):
            named = _pairs(_BITS[field.column.bits])
            for bit in field.column.bits:
                if (name := named.get(str(bit.name).lower())) is not None:
                    yield Metric(name, record, field.name, bit.title, None, bit)


METRICS: Final[Mapping[str, tuple[Metric, ...]]] = MappingProxyType(
    {record.code: tuple(_declared(record, _pairs(names))) for record, names in _FIELDS.items()}
)
"""The metrics of each message code."""
