"""Records as the typed API gives them, made from their declarations: names, models, units."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Generic, TypeVar

import orjson
from pydantic import BaseModel, Field, create_model

from api_gateway import rendered
from ovms.db.state import Message
from ovms.records import RECORDS, DistanceUnit, Record, State
from ovms.records.units import DISTANCE, SPEED

T = TypeVar("T")


class Times(BaseModel):
    """When a message came."""

    received_at: Annotated[datetime, Field(description="When it came, RFC 3339")]
    age: Annotated[int, Field(ge=0, description="Seconds since then")]


class Reading(Times, Generic[T]):
    """The newest record of a kind."""

    code: Annotated[str, Field(description="The message's code")]
    values: Annotated[T, Field(description="A value that the vehicle did not send is null")]
    units: Annotated[dict[str, str], Field(description="The unit of each value that has one")]


class Sealed(Times):
    """A message that only the owner's apps can read."""

    code: Annotated[str, Field(description="The message's code")]


def name_of(record: type[Record]) -> str:
    """A record's name in the API: `four_tyres`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record.__name__).lower()


NAMES: Final[Mapping[str, str]] = MappingProxyType({code: name_of(record) for code, record in RECORDS.items()})

LOCATED: Final = frozenset({"L"})
"""The codes of records that tell where a vehicle is."""

Readings: Final = create_model(
    "Readings",
    __doc__="The newest record of each kind; one that the vehicle never sent, or that is sealed, is absent.",
    **{
        NAMES[code]: (Annotated[Reading[record] | None, Field(description=(record.__doc__ or "").strip())], None)  # type: ignore[valid-type]
        for code, record in RECORDS.items()
    },  # type: ignore[call-overload]
)

# The units that are the car's own choice, once it has told which.
_CHOSEN: Final[Mapping[DistanceUnit | None, Mapping[str, str]]] = {
    None: {},
    DistanceUnit.KILOMETRES: {DISTANCE: "km", SPEED: "km/h"},
    DistanceUnit.MILES: {DISTANCE: "mi", SPEED: "mph"},
}


def unit_in(unit: str, chosen: DistanceUnit | None) -> str:
    """A declared unit in a car that measures in this one."""
    return _CHOSEN[chosen].get(unit, unit)


def _units(record: type[Record], chosen: DistanceUnit | None) -> Mapping[str, str]:
    return {field.name: unit_in(field.column.unit, chosen) for field in record.fields if field.column.unit}


UNITS: Final = {(code, chosen): _units(record, chosen) for code, record in RECORDS.items() for chosen in _CHOSEN}
"""Of each message code, as they are in a car that measures in one unit, another, or does not say."""


def decoded(message: Message) -> Record:
    """Return the record in a message."""
    return rendered.record(message.code, message.data)


def encoded(message: Message) -> orjson.Fragment:
    """Return the record in a message as JSON."""
    return rendered.record_json(message.code, message.data)


def times_of(message: Message, now: int) -> dict[str, Any]:
    """When a message came."""
    return {"received_at": datetime.fromtimestamp(message.received_at, UTC), "age": max(0, now - message.received_at)}


def unit_of(messages: Iterable[Message]) -> DistanceUnit | None:
    """What the vehicle of these messages measures in; None where none of them says it."""
    found = next((message for message in messages if message.code == State.code and not message.paranoid), None)
    state = None if found is None else decoded(found)
    return state.units if isinstance(state, State) else None
