"""Which call a path means: only its second segment decides, whatever slashes or segments follow. Pure.

The reference splits the path at its slashes, undoes percent-encoding in each segment, looks the second one up and hands the
others to the call, which takes as many as it needs. So `/api/status/DEMO/` and `/api/vehicle/DEMO/more` work, and an empty
segment is an argument like any other.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

# How many arguments a call takes.
ARGUMENTS: Final[Mapping[str, int]] = {
    "cookie": 0,
    "vehicles": 0,
    "token": 1,
    "vehicle": 1,
    "status": 1,
    "charge": 1,
    "location": 1,
    "tpms": 1,
    "protocol": 1,
    "historical": 2,
    "lock": 1,
    "valet": 1,
    "features": 1,
    "feature": 1,
    "parameters": 1,
    "parameter": 1,
    "reset": 1,
    "homelink": 1,
    "wakeup": 1,
    "cooldown": 1,
    "climate": 1,
    "command": 1,
    "sms": 1,
    "ussd": 1,
    "at": 1,
}

# Calls that mean something else without their argument.
OPTIONAL: Final = frozenset({"token"})


def canonical(raw_path: str) -> str | None:
    """The path under which a legacy call is registered; None for all other paths, which stay as they are."""
    root, api, call, *arguments = raw_path.split("/") if raw_path.count("/") > 1 else ("", "", "")
    takes = ARGUMENTS.get(call)
    if root or api != "api" or takes is None:
        return None
    # A line feed stays encoded: routes match no more than one line.
    kept = [unquote(argument).replace("\n", "%0A") for argument in arguments[:takes]]
    if takes and not kept and call not in OPTIONAL:
        kept = [""]  # a vehicle that is not named is nobody's, as one with an empty name is
    return "/".join(("/api", call, *kept))


class LegacyPaths:
    """Middleware that gives every legacy call its canonical path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._canonicalise(scope)
        await self._app(scope, receive, send)

    def _canonicalise(self, scope: Any) -> None:
        if (path := canonical(scope["raw_path"].decode("latin-1"))) is not None:
            scope["path"] = path
