"""What the OpenAPI document says of every call of the typed API."""

from typing import Any, Final

from api_gateway.errors import (
    ApiError,
    AuthenticationFailed,
    CrossSite,
    InsufficientRights,
    ServiceUnavailable,
    TooManyAttempts,
    TooManyRequests,
)
from api_gateway.refusals import PROBLEM, problem, slug, typed_status

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Which problem; it never changes"},
        "title": {"type": "string", "description": "The problem in a few words"},
        "status": {"type": "integer", "description": "The HTTP status"},
        "detail": {"type": "string", "description": "What it means"},
        "errors": {
            "type": "array",
            "description": "Of a 422: each invalid field or parameter",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) into the body, or `#/query/<name>`"},
                    "detail": {"type": "string", "description": "Why the value is invalid"},
                    "choices": {"type": "array", "description": "All valid values, if few", "items": {"type": "string"}},
                },
                "required": ["pointer", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}

# Every call of a signed-in caller may be refused with these.
COMMON: Final[tuple[type[ApiError], ...]] = (
    AuthenticationFailed,
    InsufficientRights,
    CrossSite,
    TooManyAttempts,
    TooManyRequests,
    ServiceUnavailable,
)


def problems(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """The errors of a route as its `responses=`, those that every route has among them."""
    return declare(*COMMON, *errors)


def declare(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """The errors of a route as its `responses=`."""
    declared: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = declared.setdefault(
            typed_status(error),
            {"description": "", "content": {PROBLEM: {"schema": _REFERENCE, "examples": {}}}},
        )
        entry["description"] = f"{entry['description']} {error.meaning}".strip()
        example = {"summary": error.meaning, "value": problem(error)}
        entry["content"][PROBLEM]["examples"][slug(error)] = example
        if error.headers:
            entry["headers"] = {name: {"schema": {"type": "string"}} for name in error.headers}
    return declared
