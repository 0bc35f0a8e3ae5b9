"""Who gets the notifications of a vehicle pushed."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import PoolDep
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, SubscriptionUnknown, VehicleUnknown
from api_gateway.v1.fields import ShortText, Wanted
from api_gateway.v1.reach import Own, Reach
from ovms.db.engine import Database
from ovms.db.push import KeptSubscription, end_subscription, list_subscriptions, subscribe_in
from ovms.subscriptions import APNS, LONGEST_KEY, has_form, redact

router = APIRouter(prefix=f"{ROOT}/vehicles/{{vehicle_id}}/subscriptions", tags=["account"])

PushType = Literal["mail", "gcm", "apns", "expo", "webhook"]
# Message `p` separates its fields by commas, so an app could not renew a subscription with one in its id.
AppId = Annotated[
    str,
    Path(max_length=255, pattern=r"^[^,\x00-\x1f\x7f]+$", description="The app's id, its own choice", examples=["phone"]),
]

_EXAMPLE: Final = {
    "app_id": "phone",
    "push_type": "mail",
    "key_type": "",
    "key": "d…@example.org",
    "confirmed": False,
    "updated_at": "2026-11-22T19:12:23Z",
}


class SubscriptionWanted(Wanted):
    """Where notifications are to be pushed to."""

    push_type: Annotated[PushType, Field(description="How")]
    key_type: Annotated[ShortText, Field(description="What the app calls the kind of its key")] = ""
    key: Annotated[str, Field(max_length=LONGEST_KEY, description="A mail address, a device's token or a web hook's URL")]


class Subscription(BaseModel):
    """Where notifications are pushed to."""

    app_id: str
    push_type: Annotated[str, Field(description="How: mail, gcm, apns, expo or webhook")]
    key_type: str
    key: Annotated[str, Field(description="Where to, shortened so that nobody else can use it")]
    confirmed: Annotated[
        bool, Field(description="Whether notifications go there: a mail address is asked first, by a mail with a link")
    ]
    updated_at: Annotated[datetime, Field(description="When the app has said so last")]


class Subscriptions(BaseModel):
    """The subscriptions of a vehicle."""

    items: Annotated[list[Subscription], Field(description="By app")]


@router.get(
    "",
    summary="A vehicle's subscriptions",
    response_model=Subscriptions,
    response_description="The subscriptions",
    responses={200: {"content": {"application/json": {"example": {"items": [_EXAMPLE]}}}}, **problems(VehicleUnknown)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_subscriptions",
)
async def list_all(reach: Own, pool: PoolDep) -> Response:
    """Return who gets your vehicle's notifications pushed.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/vehicles/DEMO/subscriptions`
    """
    found = await list_subscriptions(pool, reach.vehicle.key)
    return json_answer({"items": [_render(one) for one in found]})


@router.put(
    "/{app_id}",
    summary="Subscribe",
    response_model=Subscription,
    response_description="The subscription",
    responses={
        200: {"content": {"application/json": {"example": _EXAMPLE}}},
        **problems(VehicleUnknown, InvalidRequest),
    },
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_subscribe",
)
async def put(app_id: AppId, wanted: SubscriptionWanted, reach: Own, pool: PoolDep) -> Response:
    """Have your vehicle's notifications pushed, as an app does with message `p`. Of 64 subscriptions the one that was renewed
    longest ago makes room. A mail address is asked first: it gets one mail with a link, and nothing else before that is used.

    `curl -u demo:demo -X PUT -H 'Content-Type: application/json' -d '{"push_type": "mail", "key": "demo@example.org"}'
    http://127.0.0.1:6868/api/v1/vehicles/DEMO/subscriptions/phone`
    """
    if not has_form(wanted.push_type, wanted.key):
        raise InvalidRequest.of("key", f"It is no key of the type {wanted.push_type}")
    key_type = "production" if wanted.push_type == APNS else wanted.key_type
    async with pool.acquire() as connection, connection.transaction():
        await subscribe_in(
            connection, reach.vehicle.key, app_id, push_type=wanted.push_type, key_type=key_type, key=wanted.key
        )  # fmt: skip
        await _note(connection, reach, "subscription.put", app=app_id, type=wanted.push_type)
        found = {one.app_id: one for one in await list_subscriptions(connection, reach.vehicle.key)}
    return json_answer(_render(found[app_id]))


@router.delete(
    "/{app_id}",
    status_code=204,
    summary="End a subscription",
    response_class=Response,
    response_description="It has ended",
    responses=problems(VehicleUnknown, SubscriptionUnknown, InvalidRequest),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_unsubscribe",
)
async def delete(app_id: AppId, reach: Own, pool: PoolDep) -> Response:
    """Push nothing of your vehicle to an app any more, nor what waits to be. An app that is still there may subscribe again.

    `curl -u demo:demo -X DELETE http://127.0.0.1:6868/api/v1/vehicles/DEMO/subscriptions/phone`
    """
    async with pool.acquire() as connection, connection.transaction():
        if not await end_subscription(connection, reach.vehicle.key, app_id):
            raise SubscriptionUnknown
        await _note(connection, reach, "subscription.delete", app=app_id)
    return done()


async def _note(db: Database, reach: Reach, action: str, **detail: Any) -> None:
    await note(db, reach.caller, action, vehicle_id=reach.vehicle.vehicle_id, detail=detail)


def _render(kept: KeptSubscription) -> dict[str, Any]:
    return {
        "app_id": kept.app_id,
        "push_type": kept.push_type,
        "key_type": kept.key_type,
        "key": redact(kept.push_type, kept.key),
        "confirmed": kept.is_confirmed,
        "updated_at": kept.updated_at,
    }
