"""The newest messages of a vehicle, for callers who own it: ownership and messages are one statement."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ovms.db.engine import Pool
from ovms.gathered import Gathered

# The reference's order: the firmware first, then the status, then by code.
_ORDER: Final = """ORDER BY m.code = 'F' DESC, m.code = 'S' DESC, m.code COLLATE "C\""""

_COLUMNS: Final = """
SELECT m.code, m.data, floor(extract(epoch FROM m.received_at))::bigint, m.paranoid, m.paranoid_token
FROM vehicles v LEFT JOIN messages m ON m.vehicle = v.id AND m.valid
"""

_OWNED: Final = "WHERE v.owner_id = $1 AND upper(v.vehicle_id) = upper($2)"

# Of many callers at once: each names an owner, a vehicle and codes, one character each.
_ASKED: Final = """
SELECT asked.place, m.code, m.data, floor(extract(epoch FROM m.received_at))::bigint, m.paranoid, m.paranoid_token
FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS asked(owner_id, vehicle_id, codes, place)
JOIN vehicles v ON v.owner_id = asked.owner_id AND upper(v.vehicle_id) = upper(asked.vehicle_id)
LEFT JOIN messages m ON m.vehicle = v.id AND m.valid AND strpos(asked.codes, m.code) > 0
"""
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


Newest = dict[str, Message]
"""The newest messages of a vehicle, by code."""

_Question = tuple[int, str, str]


class OwnedStates:
    """Reads the newest messages of vehicles for who owns them, what is asked in the same moment in one statement."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: Gathered[_Question, Newest | None] = Gathered(self._read)

    async def read(self, owner_id: int, vehicle_id: str, codes: str) -> Newest | None:
        """The newest messages of these codes; None where the owner has no such vehicle."""
        return await self._asked.ask((owner_id, vehicle_id, codes))

    async def _read(self, asked: Sequence[_Question]) -> list[Newest | None]:
        found: list[Newest | None] = [None] * len(asked)
        for place, code, *rest in await self._pool.fetch(_ASKED, *zip(*asked, strict=True)):
            newest = found[place - 1]
            if newest is None:
                newest = found[place - 1] = {}
            if code is not None:
                newest[code] = Message(code, *rest)
        return found


async def read_all_messages(db: Pool, owner_id: int, vehicle_id: str) -> list[Message] | None:
    """The newest message of every code in the order F, S, others; None where the owner has no such vehicle."""
    rows = await db.fetch(_ALL, owner_id, vehicle_id)
    if not rows:
        return None
    return [Message(*row) for row in rows if row[0] is not None]


async def read_newest(db: Pool, vehicle: int) -> list[Message]:
    """The newest message of every code of a vehicle that the caller is known to reach, in the order F, S, others."""
    return [Message(*row) for row in await db.fetch(_NEWEST, vehicle)]
