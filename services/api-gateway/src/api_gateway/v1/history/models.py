"""What a vehicle has recorded, as callers see it."""

from datetime import date, datetime
from typing import Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, Field, create_model

from ovms.records import State
from ovms.records.logs import NotificationKind

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Some of a list."""

    items: Annotated[list[T], Field(description="In the order that was asked for")]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; null: this is the last")]


class TypeSummary(BaseModel):
    """What is stored of one record type."""

    record_type: Annotated[str, Field(description="As the vehicle spells it")]
    records: Annotated[int, Field(ge=0, description="How many there are")]
    numbers: Annotated[int, Field(ge=0, description="How many different record numbers they have")]
    bytes: Annotated[int, Field(ge=0, description="The size of their data")]
    first: Annotated[datetime, Field(description="The time of the oldest, RFC 3339")]
    last: Annotated[datetime, Field(description="The time of the newest, RFC 3339")]
    needs_location: Annotated[bool, Field(description="They may tell where the vehicle was: reading them needs `location` too")]


class HistorySummary(Page[TypeSummary]):
    """What is stored, by record type."""

    items: Annotated[list[TypeSummary], Field(description="In the order of the record types")]


class HistoryItem(BaseModel):
    """A record."""

    recorded_at: Annotated[datetime, Field(description="Its time, RFC 3339")]
    number: Annotated[int, Field(description="Its number, the vehicle's own")]
    data: Annotated[str, Field(description="As the vehicle sent it; bytes that are not UTF-8 are replaced")]


class HistoryPage(Page[HistoryItem]):
    """Records of one type."""


class NotificationItem(BaseModel):
    """What the vehicle told its owner."""

    notified_at: Annotated[datetime, Field(description="When it came, RFC 3339")]
    number: Annotated[int, Field(description="Tells those of one moment apart")]
    kind: Annotated[NotificationKind, Field(description="What it is")]
    text: Annotated[str, Field(description="Its text. Without the scope `location` coordinates in it are left out.")]


class NotificationPage(Page[NotificationItem]):
    """Notifications."""


StateItem: Final = create_model(
    "StateItem",
    __doc__="What the battery and the charge were like at one time.",
    recorded_at=(datetime, Field(description="When it came, RFC 3339")),
    **{field.name: State.__annotations__[field.name] for field in State.fields},
)


class StatePage(Page[StateItem]):
    """Samples of the state."""


class Carried(BaseModel):
    """Bytes in both directions."""

    received: Annotated[int, Field(ge=0, description="Bytes that it was sent")]
    sent: Annotated[int, Field(ge=0, description="Bytes that it sent")]


class TrafficDay(BaseModel):
    """What was carried on one day."""

    day: Annotated[date, Field(description="UTC")]
    car: Annotated[Carried, Field(description="The car's own connections: what its SIM card is billed for")]
    apps: Annotated[Carried, Field(description="Apps that watched it")]


class Traffic(BaseModel):
    """What was carried, a day."""

    items: Annotated[list[TrafficDay], Field(description="The newest first; a day without traffic is absent")]
