"""How a call is told that it is refused: a problem (RFC 9457) under `/api/v1`, the reference's line of text everywhere else."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from api_gateway.answers import Plain, error_answer
from api_gateway.errors import ApiError

ROOT: Final = "/api/v1"
TYPES: Final = f"{ROOT}/problems/"
PROBLEM: Final = "application/problem+json"

_HEADERS: Final = (
    (b"content-type", PROBLEM.encode()),
    (b"cache-control", b"no-store"),
    (b"access-control-expose-headers", b"Retry-After, RateLimit, RateLimit-Policy"),
)
# RFC 9110, 11.6.1: a 401 says how to do better. Not Basic, for which browsers would ask the reader of a page.
_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="ovms"')


def is_typed(path: str) -> bool:
    """Whether a path belongs to the typed API."""
    return path.startswith(ROOT + "/") or path == ROOT


def refusal(scope: Mapping[str, Any], error: ApiError | type[ApiError]) -> Response:
    """An error as the caller of this request sees it."""
    if not is_typed(scope["path"]):
        return error_answer(error)
    headers = [*_HEADERS]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    status = typed_status(error)
    if status == 401:
        headers.append(_CHALLENGE)
    return Plain(orjson.dumps(problem(error), option=orjson.OPT_APPEND_NEWLINE), status, *headers)


def typed_status(error: ApiError | type[ApiError]) -> int:
    """Return the status of an error under `/api/v1`."""
    return error.typed_status or error.status


def problem(error: ApiError | type[ApiError]) -> dict[str, Any]:
    """An error as a problem: its type never changes."""
    # The title is one for all that have the type (RFC 9457, 3.1.3); an error may say more of what happened this time.
    title = (error if isinstance(error, type) else type(error)).detail
    said = {"type": TYPES + slug(error), "title": title, "status": typed_status(error), "detail": error.meaning}
    return {**said, **error.members}


def slug(error: ApiError | type[ApiError]) -> str:
    """The last part of a problem's type; clients compare it, so a class that is renamed must keep it."""
    kind = error if isinstance(error, type) else type(error)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
