"""What the document says of a request for a command, made from the kinds of commands."""

from typing import Any, Final

from api_gateway.commands.kinds import KINDS, Kind
from api_gateway.v1.commands.requests import DEFAULT_LIMIT, DEFAULT_TTL, MOST_LIMIT, MOST_TTL, MOST_WAIT


def _of_kind(kind: Kind) -> dict[str, Any]:
    arguments = {one.name: {**one.schema, "description": one.wanted} for one in kind.arguments}
    required = [one.name for one in kind.arguments if one.default is None]
    properties: dict[str, Any] = {
        "kind": {"const": kind.name},
        "arguments": {"type": "object", "properties": arguments, "required": required, "additionalProperties": False},
        "ttl": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_TTL,
            "default": DEFAULT_TTL,
            "description": "Seconds that it may wait to be sent",
        },
        "queue": {"type": "boolean", "default": False, "description": "Whether it waits for a vehicle that is not connected"},
    }
    return {
        "type": "object",
        "title": "".join(part.capitalize() for part in kind.name.split("_")) + "Command",
        "description": f"Command {kind.number} of the protocol. Needs the scope `{kind.scope}`.",
        "properties": properties,
        "required": ["kind", *(["arguments"] if required else [])],
        "additionalProperties": False,
    }


BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"oneOf": [_of_kind(kind) for kind in KINDS.values()]},
            "example": {"kind": "set_charge_mode", "arguments": {"mode": "range"}, "ttl": 60},
        }
    },
}
POST_HEADERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name for this request: sent again within a day it is answered with the same command",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": f"`wait=n`: answer when the command is finished, or after n seconds, at most {MOST_WAIT} (RFC 7240)",
        "schema": {"type": "string", "examples": ["wait=10"]},
    },
]
PAGE_QUERY: Final = [
    {
        "name": "before",
        "in": "query",
        "description": "`next` of the page before",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    },
    {
        "name": "limit",
        "in": "query",
        "description": "The most commands of a page",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT, "default": DEFAULT_LIMIT},
    },
]
LOCATION: Final = {"Location": {"description": "The command", "schema": {"type": "string", "format": "uri-reference"}}}
APPLIED: Final = {"Preference-Applied": {"description": "`wait=n`, as it is granted", "schema": {"type": "string"}}}
