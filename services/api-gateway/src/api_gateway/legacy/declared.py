"""What the OpenAPI document says of a legacy route beside its signature."""

from collections.abc import Mapping
from typing import Any, Final

JSON: Final = "application/json"
TEXT: Final = "text/plain"

TIME: Final[Mapping[str, Any]] = {"type": "string", "description": "UTC, `YYYY-MM-DD HH:MM:SS`"}
INTEGER: Final[Mapping[str, Any]] = {"type": "integer"}
STRING: Final[Mapping[str, Any]] = {"type": "string"}


def answer(
    description: str, example: Any, schema: Mapping[str, Any] = STRING, kind: str = JSON, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """The good answer of a route as its `responses=`."""
    return {status: {"description": description, "content": {kind: {"schema": schema, "example": example}}}}


def record(properties: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The schema of an object with exactly these members."""
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    if required:
        schema["required"] = sorted(properties)
    return schema


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a list."""
    return {"type": "array", "items": dict(schema)}
