"""What the calls that tell a vehicle's newest messages have in common: a tag of those messages, and what the document says."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from api_gateway import examples
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.errors import ApiError
from api_gateway.v1.answers import is_known, json_answer, not_modified, tag_of
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import VehicleUnknown
from ovms.db.state import Message

Render = Callable[[Sequence[Message], int], dict[str, Any]]
"""The answer, from the newest messages and the time of the call."""

_TAG = {"ETag": {"description": "What this answer is made from", "schema": {"type": "string"}}}


def answer(request: Request, messages: Sequence[Message], value: Callable[[], Any]) -> Response:
    """A value that is made from these messages, or that the caller has it."""
    tag = tag_of(messages)
    if is_known(tag, request.headers.get("if-none-match")):
        return not_modified(tag)
    return json_answer(value(), (b"etag", tag))


def add_call(
    router: APIRouter,
    path: str,
    read: Callable[..., Any],
    render: Render,
    model: type[BaseModel],
    *errors: type[ApiError],
    examples_of: str,
    **described: Any,
) -> None:
    """Add a call that `read` answers with what `render` makes.

    Args:
        errors: what it refuses, beside a vehicle that is unknown.
        examples_of: the codes of the messages that its example is made from.
    """
    example = orjson.loads(orjson.dumps(render(examples.messages(examples_of), examples.READ_AT), option=orjson.OPT_UTC_Z))
    router.add_api_route(
        path,
        read,
        methods=["GET"],
        response_model=model,
        response_description="What the vehicle sent last",
        responses={
            200: {"headers": _TAG, "content": {"application/json": {"example": example}}},
            304: {"description": "Nothing came since what If-None-Match names", "headers": _TAG},
            **problems(VehicleUnknown, *errors),
        },
        openapi_extra=dict(SIGNED_IN),
        **described,
    )
