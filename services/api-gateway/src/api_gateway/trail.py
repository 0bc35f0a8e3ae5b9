"""Notes what a caller has changed, in the transaction of the change."""

from collections.abc import Mapping
from typing import Any

from api_gateway.auth.authenticator import Caller
from ovms.db.audit import record
from ovms.db.engine import Database


async def note(
    db: Database,
    caller: Caller,
    action: str,
    *,
    owner_id: int | None = None,
    vehicle_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add to a trail what a caller does.

    Args:
        owner_id: whom it concerns beside or instead of the caller; None: the caller.
        detail: what else is worth knowing; never a secret.
    """
    concerned = caller.owner_id if owner_id is None else owner_id
    await record(
        db, concerned, actor=caller.login.owner, means=caller.means, action=action, vehicle_id=vehicle_id, detail=detail
    )
