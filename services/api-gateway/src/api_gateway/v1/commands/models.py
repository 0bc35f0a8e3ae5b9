"""Commands as callers see them."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from api_gateway.commands.states import CommandState


class CommandAnswer(BaseModel):
    """A command, and what has become of it."""

    id: Annotated[str, Field(description="Its id")]
    vehicle: Annotated[str, Field(description="The vehicle's id, as its owner spells it")]
    kind: Annotated[str, Field(description="What the vehicle is to do; some calls under `/api` have others than these")]
    arguments: Annotated[
        dict[str, str | int], Field(description="By name; those that may be secret, such as a PIN, are not shown")
    ]
    scope: Annotated[Literal["control", "admin"], Field(description="The scope without which it is not shown")]
    actor: Annotated[str, Field(description="The name of who asked for it")]
    state: Annotated[
        CommandState,
        Field(
            description="`queued` and `sent` are on the way. `unknown`: the vehicle was perhaps told, and nothing is known of "
            "it; it is never told again. `failed` without a `result`: it was not told."
        ),
    ]
    revision: Annotated[int, Field(ge=1, description="Grows with every change")]
    created_at: Annotated[str, Field(description="When it was asked for, RFC 3339", json_schema_extra={"format": "date-time"})]
    expires_at: Annotated[str, Field(description="Until when it may be sent", json_schema_extra={"format": "date-time"})]
    sent_at: Annotated[str | None, Field(description="When it was sent, null where it is not")]
    finished_at: Annotated[str | None, Field(description="When it was known what became of it")]
    result: Annotated[int | None, Field(description="The vehicle's result: 0 done, 1 failed, 2 unsupported, 3 unimplemented")]
    text: Annotated[str | None, Field(description="The vehicle's words")]


class CommandPage(BaseModel):
    """Some commands, the newest first."""

    items: Annotated[list[CommandAnswer], Field(description="The commands")]
    next: Annotated[str | None, Field(description="`before` of the next page; null: this is the last")]


EXAMPLE: Final = {
    "id": "0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a",
    "vehicle": "DEMO",
    "kind": "set_charge_mode",
    "arguments": {"mode": "range"},
    "scope": "control",
    "actor": "demo",
    "state": "succeeded",
    "revision": 3,
    "created_at": "2026-08-03T09:05:07.120Z",
    "expires_at": "2026-08-03T09:06:07.120Z",
    "sent_at": "2026-08-03T09:05:07.123Z",
    "finished_at": "2026-08-03T09:05:08.500Z",
    "result": 0,
    "text": "Charge mode set",
}
QUEUED_EXAMPLE: Final = EXAMPLE | {
    "state": "queued",
    "revision": 1,
    "sent_at": None,
    "finished_at": None,
    "result": None,
    "text": None,
}
CANCELLED_EXAMPLE: Final = QUEUED_EXAMPLE | {
    "state": "cancelled",
    "revision": 2,
    "finished_at": "2026-08-03T09:05:09.000Z",
}
