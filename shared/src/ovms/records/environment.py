"""D: doors, temperatures and the rest of the car's environment."""

from enum import IntEnum
from typing import Annotated

from ovms.records.columns import Bits, Column, Flags
from ovms.records.freshness import Freshness
from ovms.records.record import Record, record
from ovms.records.units import DISTANCE


class Doors1(Bits):
    """Door state 1. Firmware: car_doors1_t."""

    FRONT_LEFT_DOOR = 0x01, "Front left door open", "fl_dooropen"
    FRONT_RIGHT_DOOR = 0x02, "Front right door open", "fr_dooropen"
    CHARGE_PORT = 0x04, "Charge port open", "cp_dooropen"
    PILOT = 0x08, "Pilot signal present", "pilotpresent"
    CHARGING = 0x10, "Charging", "charging"
    HAND_BRAKE = 0x40, "Hand brake applied", "handbrake"
    CAR_ON = 0x80, "Car on (ignition)", "caron"


class Doors2(Bits):
    """Door state 2. Firmware: car_doors2_t."""

    LOCKED = 0x08, "Car locked", "carlocked"
    VALET_MODE = 0x10, "Valet mode active", "valetmode"
    # Firmware: Headlights; the manual leaves bit 5 out.
    HEADLIGHTS = 0x20, "Headlights on"
    BONNET = 0x40, "Bonnet open", "bt_open"
    TRUNK = 0x80, "Trunk open", "tr_open"


class Doors3(Bits):
    """Door state 3. Firmware: car_doors3_t."""

    # Firmware and manual: bit 0; the reference reads bit 1, the cooling pump.
    AWAKE = 0x01, "Car awake", "carawake"
    COOLING_PUMP = 0x02, "Cooling pump on"
    CONTROLLER_LOGIN = 0x40, "Logged into the motor controller"
    CONTROLLER_CONFIGURATION = 0x80, "Motor controller in configuration mode"


class Doors4(Bits):
    """Door state 4. Firmware: car_doors4_t."""

    # Firmware: AlarmSounds is the second bit of the byte that is sent; manual and reference say bit 2 (0x04).
    ALARM = 0x02, "Alarm sounds"
    ALARM_BY_MANUAL = 0x04, "Alarm sounds, from senders that follow the manual", "alarmsounding"


class Doors5(Bits):
    """Door state 5. Firmware: car_doors5_t."""

    REAR_LEFT_DOOR = 0x01, "Rear left door open"
    REAR_RIGHT_DOOR = 0x02, "Rear right door open"
    FRUNK = 0x04, "Frunk open, 0 from current modules"
    CHARGING_12V = 0x10, "12 V battery charging", "charging_12v"
    AUX_12V = 0x20, "Auxiliary 12 V systems on"
    HVAC = 0x80, "Heating, ventilation or air conditioning running"


class LockState(IntEnum):
    """Whether the car is locked: 4 locked, 5 unlocked."""

    LOCKED = 4
    UNLOCKED = 5


@record("D")
class Environment(Record):
    """Doors, temperatures and the rest of the car's environment. Firmware: TransmitMsgEnvironment."""

    doors_1: Annotated[Doors1 | None, Flags("Door state 1", bits=Doors1)]
    doors_2: Annotated[Doors2 | None, Flags("Door state 2", bits=Doors2)]
    lock_state: Annotated[LockState | None, Column("Lock state")]
    pem_temperature: Annotated[float | None, Column("Temperature of the inverter (PEM)", "temperature_pem", unit="degC")]
    motor_temperature: Annotated[float | None, Column("Temperature of the motor", "temperature_motor", unit="degC")]
    battery_temperature: Annotated[float | None, Column("Temperature of the battery", "temperature_battery", unit="degC")]
    trip: Annotated[float | None, Column("Trip meter", "tripmeter", unit=DISTANCE, per=10, least=0)]
    odometer: Annotated[float | None, Column("Odometer", "odometer", unit=DISTANCE, per=10, least=0)]
    # Firmware: never converted, unlike the speed of L; the manual says distance units per hour.
    speed: Annotated[float | None, Column("Speed", "speed", unit="km/h")]
    parking_time: Annotated[int | None, Column("Time parked, 0 when not parked", "parkingtimer", unit="s", least=0)]
    ambient_temperature: Annotated[float | None, Column("Ambient temperature", "temperature_ambient", unit="degC")]
    doors_3: Annotated[Doors3 | None, Flags("Door state 3", bits=Doors3)]
    # Firmware: 0 only when all temperatures are stale; the manual names those of PEM, motor and battery.
    temperatures_freshness: Annotated[Freshness | None, Column("Age of the temperatures", "staletemps")]
    ambient_freshness: Annotated[Freshness | None, Column("Age of the ambient temperature", "staleambient")]
    voltage_12v: Annotated[float | None, Column("12 V line voltage", "vehicle12v", unit="V")]
    doors_4: Annotated[Doors4 | None, Flags("Door state 4", bits=Doors4)]
    reference_12v: Annotated[float | None, Column("Reference voltage of 12 V", "vehicle12v_ref", unit="V")]
    doors_5: Annotated[Doors5 | None, Flags("Door state 5", bits=Doors5)]
    charger_temperature: Annotated[float | None, Column("Temperature of the charger", "temperature_charger", unit="degC")]
    current_12v: Annotated[float | None, Column("12 V current", "vehicle12v_current", unit="A")]
    cabin_temperature: Annotated[float | None, Column("Temperature of the cabin", "temperature_cabin", unit="degC")]
