"""What a vehicle sent last, a subject at a time: where it is, how it charges, its doors, its tyres."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_type_hints

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from api_gateway.dependencies import parts_of
from api_gateway.errors import ParanoidVehicle
from api_gateway.refusals import ROOT
from api_gateway.v1.errors import NothingReceived
from api_gateway.v1.reach import Locatable, Readable
from api_gateway.v1.records import Times, decoded, times_of, unit_in, unit_of
from api_gateway.v1.vehicle.newest import Render, add_call, answer
from api_gateway.v1.vehicle.place import with_known_place
from ovms.db.state import Message, read_newest
from ovms.records import (
    AlertLevel,
    Doors1,
    Doors2,
    Doors5,
    Environment,
    FourTyres,
    Location,
    Record,
    State,
    Tyres,
)
from ovms.records.columns import Bits, Flags
from ovms.records.metrics import Metric

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}", tags=["typed state"])


@dataclass(frozen=True, slots=True)
class View:
    """One subject: some fields and bits of records, the first record's being those without which there is nothing to tell."""

    name: str
    title: str
    members: tuple[Metric, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of its records, the one that it needs first."""
        return tuple(dict.fromkeys(member.record.code for member in self.members))

    def model(self) -> type[BaseModel]:
        """The model of its values, from the declarations of the records."""
        hints = {member.name: _hint(member) for member in self.members}
        return create_model(f"{self.name.title()}Values", __doc__=self.title, **hints)  # type: ignore[call-overload, no-any-return]


def _hint(member: Metric) -> tuple[Any, None]:
    if member.bit is not None:
        return Annotated[bool | None, Field(description=member.title)], None
    return get_type_hints(member.record, include_extras=True)[member.field], None


def _fields(record: type[Record], names: str = "") -> Iterable[Metric]:
    wanted = names.split() or [field.name for field in record.fields]
    declared = {field.name: field.column for field in record.fields}
    for name in wanted:
        yield Metric(name, record, name, declared[name].title, declared[name].unit)


def _bits(*bits: Bits) -> Iterable[Metric]:
    fields = {field.column.bits: field.name for field in Environment.fields if isinstance(field.column, Flags)}
    for bit in bits:
        yield Metric(str(bit.name).lower(), Environment, fields[type(bit)], bit.title, None, bit)


LOCATION: Final = View("location", "Where the vehicle is and how it drives.", tuple(_fields(Location)))
CHARGE: Final = View(
    "charge",
    "The battery and how it is charged.",
    (
        *_fields(
            State,
            "soc soh ideal_range estimated_range full_range charge_state charge_mode line_voltage charge_current charge_limit "
            "charge_power charge_power_input charger_efficiency charge_energy charge_duration time_to_full time_to_limit "
            "range_limit time_to_range_limit soc_limit time_to_soc_limit charge_timer charge_timer_start battery_voltage "
            "battery_current battery_capacity cac cooling grid_energy grid_energy_total charge_end",
        ),
        *_bits(Doors1.CHARGE_PORT, Doors1.PILOT, Doors1.CHARGING, Doors5.CHARGING_12V),
        *_fields(Environment, "battery_temperature charger_temperature voltage_12v"),
    ),
)
DOORS: Final = View(
    "doors",
    "What is open, and whether it is locked.",
    (
        *_bits(Doors1.FRONT_LEFT_DOOR, Doors1.FRONT_RIGHT_DOOR, Doors5.REAR_LEFT_DOOR, Doors5.REAR_RIGHT_DOOR),
        *_bits(Doors2.BONNET, Doors2.TRUNK, Doors5.FRUNK, Doors1.CHARGE_PORT, Doors2.LOCKED, Doors2.VALET_MODE),
    ),
)

# The wheels of W, which has no names of its own: those that modules give in Y.
_WHEELS: Final = {"fl": "front_left", "fr": "front_right", "rl": "rear_left", "rr": "rear_right"}


class Tyre(BaseModel):
    """One wheel."""

    wheel: Annotated[str, Field(description="Its name, such as `fl` for front left")]
    pressure: Annotated[float | None, Field(description="Its pressure")]
    temperature: Annotated[float | None, Field(description="Its temperature")]
    health: Annotated[float | None, Field(description="Its health")]
    alert: Annotated[AlertLevel | None, Field(description="0: none, 1: warning, 2: alert")]


class TyresAnswer(Times):
    """The wheels."""

    values: Annotated[list[Tyre], Field(description="In the vehicle's own order")]
    units: Annotated[dict[str, str], Field(description="The unit of each value that has one")]


def render_view(view: View, messages: Sequence[Message], now: int) -> dict[str, Any]:
    """The answer of a view, from the newest messages.

    Raises:
        NothingReceived: the vehicle never sent what the view is of.
        ParanoidVehicle: it is encrypted.
    """
    main = _needed(messages, view.codes[0])
    records = {message.code: decoded(message) for message in messages if not message.paranoid and message.code in view.codes}
    chosen = unit_of(messages)
    values = {
        member.name: None if (record := records.get(member.record.code)) is None else member.value(record)
        for member in view.members
    }
    units = {member.name: unit_in(member.unit, chosen) for member in view.members if member.unit}
    return {**times_of(main, now), "values": values, "units": units}


def render_tyres(messages: Sequence[Message], now: int) -> dict[str, Any]:
    """The wheels, from Y where the vehicle sends it, else from W.

    Raises:
        NothingReceived: it sent neither.
        ParanoidVehicle: it is encrypted.
    """
    main = _needed(messages, Tyres.code, FourTyres.code)
    record = decoded(main)
    if isinstance(record, Tyres):
        return {**times_of(main, now), "values": _all_wheels(record), "units": _units("kPa")}
    return {**times_of(main, now), "values": _four_wheels(record), "units": _units("psi")}


def _units(pressure: str) -> dict[str, str]:
    return {"pressure": pressure, "temperature": "degC", "health": "%"}


def _all_wheels(record: Tyres) -> list[dict[str, Any]]:
    measured = {
        "pressure": record.pressures or (),
        "temperature": record.temperatures or (),
        "health": record.healths or (),
        "alert": record.alerts or (),
    }
    return [
        {"wheel": name or str(number)}
        | {what: values[number] if number < len(values) else None for what, values in measured.items()}
        for number, name in enumerate(record.wheels or ())
    ]


def _four_wheels(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "wheel": wheel,
            "pressure": getattr(record, f"{name}_pressure"),
            "temperature": getattr(record, f"{name}_temperature"),
            "health": None,
            "alert": None,
        }
        for wheel, name in _WHEELS.items()
    ]


def _needed(messages: Sequence[Message], *codes: str) -> Message:
    """The message of the first of these codes that can be read."""
    found = [message for code in codes for message in messages if message.code == code]
    if not found:
        raise NothingReceived
    readable = [message for message in found if not message.paranoid]
    if not readable:
        raise ParanoidVehicle
    return readable[0]


# ---- the calls


async def _read(request: Request, vehicle: int, codes: Iterable[str], render: Render) -> Response:
    parts = parts_of(request.scope)
    wanted = {*codes, State.code}  # which has the units
    newest = [message for message in await read_newest(parts.pool, vehicle) if message.code in wanted]
    messages = await with_known_place(parts.pool, vehicle, newest)
    value = render(messages, int(parts.clock()))
    return answer(request, messages, lambda: value)


def _located(codes: Iterable[str], render: Render) -> Callable[..., Any]:
    async def read(request: Request, reach: Locatable) -> Response:
        return await _read(request, reach.vehicle.key, codes, render)

    return read


def _readable(codes: Iterable[str], render: Render) -> Callable[..., Any]:
    async def read(request: Request, reach: Readable) -> Response:
        return await _read(request, reach.vehicle.key, codes, render)

    return read


def _add(name: str, summary: str, description: str, read: Callable[..., Any], render: Render, model: type[BaseModel]) -> None:
    add_call(
        router,
        f"/{name}",
        read,
        render,
        model,
        NothingReceived,
        ParanoidVehicle,
        examples_of="SDLY",
        summary=summary,
        description=f"{description}\n\n`curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/{name}`",
        operation_id=f"v1_{name}",
    )


def _add_view(view: View, summary: str, guarded: Callable[[Iterable[str], Render], Callable[..., Any]], scope: str) -> None:
    def render(messages: Sequence[Message], now: int) -> dict[str, Any]:
        return render_view(view, messages, now)

    model = create_model(
        f"{view.name.title()}Answer",
        __base__=Times,
        __doc__=view.title,
        values=(view.model(), Field(description="A value that the vehicle did not send is null")),
        units=(dict[str, str], Field(description="The unit of each value that has one")),
    )
    description = f"Return {summary[0].lower()}{summary[1:]}, as the vehicle sent it last. This needs the scope `{scope}`."
    _add(view.name, summary, description, guarded(view.codes, render), render, model)


_add_view(LOCATION, "Where it is and how it drives", _located, "location")
_add_view(CHARGE, "The battery and how it is charged", _readable, "read")
_add_view(DOORS, "What is open and whether it is locked", _readable, "read")
_add(
    "tyres",
    "The tyres",
    "Return pressures, temperatures and alerts of all wheels, as the vehicle sent them last.",
    _readable((Tyres.code, FourTyres.code), render_tyres),
    render_tyres,
    TyresAnswer,
)
