"""A deadline for each request, which its call may extend."""

import asyncio
from typing import Final

from starlette.types import Scope

_TIMEOUT: Final = "ovms.timeout"


def deadline(scope: Scope, seconds: float) -> asyncio.Timeout:
    """Return the timeout of a request, to be entered; it ends the request with a `TimeoutError`."""
    timeout = scope[_TIMEOUT] = asyncio.timeout(seconds)
    return timeout


def allow_longer(scope: Scope, seconds: float) -> None:
    """Give a request this many seconds more."""
    timeout: asyncio.Timeout = scope[_TIMEOUT]
    if (when := timeout.when()) is not None:
        timeout.reschedule(when + seconds)


def allow_any_time(scope: Scope) -> None:
    """Give a request no deadline."""
    timeout: asyncio.Timeout = scope[_TIMEOUT]
    timeout.reschedule(None)
