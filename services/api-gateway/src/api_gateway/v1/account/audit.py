"""What was done in the caller's name and with his vehicles."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, PoolDep
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest
from ovms.db.audit import NEWEST, Entry, read_trail

router = APIRouter(prefix=f"{ROOT}/account/audit", tags=["account"])

MOST: Final = 500

Before = Annotated[int, Query(ge=1, le=NEWEST, description="Entries with a smaller id; `next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]

_EXAMPLE: Final = {
    "id": 42,
    "at": "2026-11-22T19:12:23Z",
    "actor": "demo",
    "means": "token c0ffee0123456789",
    "action": "share.put",
    "vehicle": "DEMO",
    "detail": {"with": "bob", "scopes": ["read"]},
}


class Action(BaseModel):
    """Something that was done."""

    id: Annotated[int, Field(description="Greater than those of all earlier ones")]
    at: datetime
    actor: Annotated[str, Field(description="Who did it; empty: his account is no more")]
    means: Annotated[str, Field(description="What he signed in with: `password`, or `token` and its identifier")]
    action: str
    vehicle: Annotated[str | None, Field(description="With which vehicle; null: with none")]
    detail: dict[str, Any]


class Trail(BaseModel):
    """What was done."""

    items: Annotated[list[Action], Field(description="The newest first")]
    next: Annotated[int | None, Field(description="`before` of the next page; null: this is the last")]


@router.get(
    "",
    summary="What was done",
    response_model=Trail,
    response_description="The actions",
    responses={
        200: {"content": {"application/json": {"example": {"items": [_EXAMPLE], "next": None}}}},
        **problems(InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_audit",
)
async def read(caller: AccountAdmin, pool: PoolDep, before: Before = NEWEST, limit: Limit = 100) -> Response:
    """Return what was done with your account and your vehicles, by you and by others, the newest first.

    `curl -u demo:demo 'http://127.0.0.1:6868/api/v1/account/audit?limit=10'`
    """
    entries = await read_trail(pool, caller.owner_id, before, limit + 1)
    shown = entries[:limit]
    following = shown[-1].id if len(entries) > limit else None
    return json_answer({"items": [_render(entry) for entry in shown], "next": following})


def _render(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "actor": entry.actor,
        "means": entry.means,
        "action": entry.action,
        "vehicle": entry.vehicle_id,
        "detail": entry.detail,
    }
