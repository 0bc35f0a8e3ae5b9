"""The calls of Mosquitto's HTTP authentication plugins: they post a form, and look at the status of the answer only."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_gateway.answers import empty_answer
from api_gateway.dependencies import DoorDep, ProxiesDep
from api_gateway.errors import ServiceUnavailable, TooManyAttempts, answers
from api_gateway.legacy.declared import TEXT, answer
from api_gateway.legacy.forms import read_fields
from api_gateway.mqapi.topics import may_use
from ovms.auth.credentials import Password
from ovms.auth.published import is_published
from ovms.auth.rights import permits

router = APIRouter(prefix="/mqapi", tags=["mqtt"])

RIGHTS: Final = ("v3", "mqtt")

_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "username": ("demo", "The user, as the MQTT client gives it"),
    "password": ("secret", "The password, or an API token"),
    "topic": ("ovms/demo/DEMO/metric/v/b/soc", "The topic or topic filter"),
    "acc": ("2", "What for: 1 to read, 2 to write, 4 to subscribe. A user may do all of it or nothing"),
    "clientid": ("demo-phone", "The MQTT client's identifier. Not looked at"),
}


def _form(*required: str) -> dict[str, Any]:
    """The body that a plugin posts: it sends all fields with every call."""
    properties = {name: {"type": "string", "description": meaning} for name, (_, meaning) in _FIELDS.items()}
    example = {name: value for name, (value, _) in _FIELDS.items() if name in required}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    content = {"application/x-www-form-urlencoded": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _refused(meaning: str) -> dict[int | str, dict[str, Any]]:
    return answer(meaning, "", kind=TEXT, status=403) | answers(ServiceUnavailable)


async def _read(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "")
    return read_fields(_FIELDS, content_type, await request.body(), request.scope["query_string"])


@router.post("/auth/{ignored:path}", include_in_schema=False)
@router.post(
    "/auth",
    summary="Is a user who he says?",
    response_class=Response,
    responses=answer("He is", "", kind=TEXT) | _refused("No such user, a wrong password, or an API token without the right"),
    openapi_extra=_form("username", "password"),
)
async def authenticate(request: Request, proxies: ProxiesDep, door: DoorDep) -> Response:
    """Check a user name with its password or an API token. An API token needs the right `mqtt` or `v3`. The body is empty."""
    given = await _read(request)
    if "username" not in given or "password" not in given:
        return empty_answer(403)
    if is_published(given["username"], given["password"]):
        return empty_answer(403)  # the address is the broker's: the user may be anywhere
    address = partial(proxies.address_of, request.scope)
    try:
        login = await door.sign_in(Password(given["username"], given["password"]), address)
    except TooManyAttempts:
        return empty_answer(403)  # a broker knows no other refusal
    # A topic is not looked at for the vehicle that it is of, so a token for some of them opens none.
    is_right = login is not None and login.vehicles is None and permits(login.permit, *RIGHTS)
    return empty_answer(200 if is_right else 403)


@router.post("/superuser/{ignored:path}", include_in_schema=False)
@router.post(
    "/superuser",
    summary="May a user use every topic?",
    response_class=Response,
    status_code=403,
    responses=_refused("He may not"),
    openapi_extra=_form("username"),
)
async def superuser() -> Response:
    """Always refuse: no user of this server stands above the others. The body is empty."""
    return empty_answer(403)


@router.post("/acl/{ignored:path}", include_in_schema=False)
@router.post(
    "/acl",
    summary="May a user use a topic?",
    response_class=Response,
    responses=answer("He may read and write it", "", kind=TEXT) | _refused("It is not his"),
    openapi_extra=_form("username", "topic"),
)
async def use_topic(request: Request) -> Response:
    """Grant a user every topic below `ovms/<username>/`, wildcards below it included, and no other. The body is empty.

    Neither password nor existence of the user is looked at: the broker asks for users that have been authenticated.
    """
    given = await _read(request)
    return empty_answer(200 if may_use(given.get("username", ""), given.get("topic", "")) else 403)
