"""A command as callers of the HTTP API and subscribers of Redis see it. Pure."""

from datetime import UTC, datetime
from typing import Any

from api_gateway.commands.kinds import OF_ADMINS
from ovms.auth.rights import ADMIN, CONTROL
from ovms.db.commands import Command


def render(command: Command) -> dict[str, Any]:
    """A command for who may see it."""
    return {
        "id": str(command.id),
        "vehicle": command.vehicle_id,
        "kind": command.kind,
        "arguments": command.arguments,
        "scope": ADMIN if command.kind in OF_ADMINS else CONTROL,
        "actor": command.actor,
        "state": command.state,
        "revision": command.revision,
        "created_at": _date(command.created_at),
        "expires_at": _date(command.expires_at),
        "sent_at": _date(command.sent_at),
        "finished_at": _date(command.finished_at),
        "result": command.result,
        "text": command.words,
    }


def announcement(command: Command) -> dict[str, Any]:
    """A command for whoever hears the vehicle's channel: what is said to admins may be anything of the vehicle."""
    body = render(command)
    return {**body, "text": None} if body["scope"] == ADMIN else body


def _date(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
