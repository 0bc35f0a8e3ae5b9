"""The newest messages of a vehicle, for callers who own it: ownership and messages are one statement."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ovms.db.engine import Pool

# The reference's order: the firmware first, then the status, then by code.
_ORDER: Final = """ORDER BY m.code = 'F' DESC, m.code = 'S' DESC, m.code COLLATE "C\""""

_COLUMNS: Final = """
SELECT m.code, m.data, floor(extract(epoch FROM m.received_at))::bigint, m.paranoid, m.paranoid_token
FROM vehicles v LEFT JOIN messages m ON m.vehicle = v.id AND m.valid
"""

_OWNED: Final = "WHERE v.owner_id = $1 AND upper(v.vehicle_id) = upper($2)"

_SOME: Final = f"{_COLUMNS} AND m.code = ANY($3::text[]) {_OWNED}"
_ALL: Final = f"{_COLUMNS} {_OWNED} {_ORDER}"


_NEWEST: Final = f"{_COLUMNS} WHERE v.id = $1 AND m.code IS NOT NULL {_ORDER}"


class Message(NamedTuple):
    """The newest message of a code."""

    code: str
    data: bytes
    """As on the wire, without the code; base64 where it is paranoid."""
    received_at: int
    """Unix time, whole seconds."""
    paranoid: bool
    paranoid_token: str


async def read_messages(db: Pool, owner_id: int, vehicle_id: str, codes: Sequence[str]) -> dict[str, Message] | None:
    """The newest messages of these codes, by code; None where the owner has no such vehicle."""
    rows = await db.fetch(_SOME, owner_id, vehicle_id, codes)
    if not rows:
        return None
    return {row[0]: Message(*row) for row in rows if row[0] is not None}


async def read_all_messages(db: Pool, owner_id: int, vehicle_id: str) -> list[Message] | None:
    """The newest message of every code in the order F, S, others; None where the owner has no such vehicle."""
    rows = await db.fetch(_ALL, owner_id, vehicle_id)
    if not rows:
        return None
    return [Message(*row) for row in rows if row[0] is not None]


async def read_newest(db: Pool, vehicle: int) -> list[Message]:
    """The newest message of every code of a vehicle that the caller is known to reach, in the order F, S, others."""
    return [Message(*row) for row in await db.fetch(_NEWEST, vehicle)]
