"""The OpenAPI document: what FastAPI makes of the routes, and the ways to sign in."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api_gateway.auth.schemes import SCHEMES
from api_gateway.v1.declared import PROBLEM_SCHEMA

TITLE: Final = "OVMS server"
DESCRIPTION: Final = """\
The HTTP API of an Open Vehicle Monitoring System server: the state of your vehicles, their history, and keys for programs.

Everything under `/api` is the API that existing clients know. Values that a car sends stay the **strings** that it sent, a
value that it did not send is `null`, states of doors and switches are integers (0, or the value of their bit), times are UTC.

Sign in with `GET /api/cookie`, or send user name and password with every call: in the query, or in the `Authorization`
header. An API token may stand in the password's place, or serve as a bearer token.
"""

TAGS: Final = (
    {"name": "session", "description": "Signing in and out."},
    {"name": "tokens", "description": "API tokens: keys for programs, that may permit less than the password."},
    {"name": "vehicles", "description": "Your vehicles, and connecting to one."},
    {"name": "state", "description": "What a vehicle sent last."},
    {"name": "typed state", "description": "`/api/v1`: numbers with units, RFC 3339 times, refusals as problems (RFC 9457)."},
    {"name": "typed history", "description": "`/api/v1`: what a vehicle recorded, and where it was; pages, CSV, GeoJSON, GPX."},
    {"name": "account", "description": "Yourself: tokens, and what was done in your name."},
    {"name": "typed commands", "description": "What a vehicle is told to do, in its order, and what becomes of it."},
    {"name": "live", "description": "What vehicles send, as it comes."},
    {"name": "control", "description": "What a vehicle is told to do; it must be connected, and answers itself."},
    {"name": "history", "description": "What a vehicle recorded over time."},
    {"name": "mqtt", "description": "For an MQTT broker that asks this server who its users are."},
    {"name": "health", "description": "For those who run the server."},
)


def make_document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application."""
    document = get_openapi(
        title=TITLE, version=app.version, description=DESCRIPTION, routes=app.routes, tags=[dict(tag) for tag in TAGS]
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["securitySchemes"] = {name: dict(scheme) for name, scheme in SCHEMES.items()}
    for path in document["paths"].values():
        for operation in path.values():
            _drop_validation_errors(operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return document


def _drop_validation_errors(operation: dict[str, Any]) -> None:
    # FastAPI declares 422 wherever there is a parameter; these routes take any text, so it cannot come.
    if operation["responses"].get("422", {}).get("description") == "Validation Error":
        del operation["responses"]["422"]
