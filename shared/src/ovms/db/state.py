"""The newest messages of a vehicle and the list of vehicles, for callers who own them.

Ownership, messages and whether the caller's credential still stands are one statement, for all callers of one turn of the loop.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ovms.db.accounts import STANDS
from ovms.db.engine import Pool
from ovms.gathered import Gathered
from ovms.identity import VehicleName

ALL: Final = ""
"""In place of codes: the messages of all."""

# Of many callers at once: each names an owner, the proof of a credential, a vehicle and codes, one character each.
_ASKED: Final = """
WITH asked AS MATERIALIZED (
  SELECT asked.*, {stands} AS stands
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS asked(owner_id, proof, vehicle_id, codes, place))
SELECT asked.place, asked.stands, v.id,
  m.code, m.data, floor(extract(epoch FROM m.received_at))::bigint, m.paranoid, m.paranoid_token
FROM asked
LEFT JOIN vehicles v ON asked.stands AND v.owner_id = asked.owner_id AND upper(v.vehicle_id) = upper(asked.vehicle_id)
LEFT JOIN messages m ON m.vehicle = v.id AND m.valid AND (asked.codes = '' OR strpos(asked.codes, m.code) > 0)
"""

_VEHICLES: Final = """
SELECT {stands},
  ARRAY(SELECT ROW(v.vehicle_id, v.id) FROM vehicles v WHERE v.owner_id = asked.owner_id
    ORDER BY upper(v.vehicle_id) COLLATE "C")
FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS asked(owner_id, proof, place) ORDER BY place
"""

_STATES_QUERY: Final = _ASKED.format(stands=STANDS)
_VEHICLES_QUERY: Final = _VEHICLES.format(stands=STANDS)

_NEWEST: Final = """
SELECT code, data, floor(extract(epoch FROM received_at))::bigint, paranoid, paranoid_token
FROM messages WHERE vehicle = $1 AND valid
"""


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

_Question = tuple[int, str, str, str]
_Credential = tuple[int, str]


class OwnedState(NamedTuple):
    """What a caller is shown of a vehicle."""

    stands: bool
    """Whether the caller's credential still stands; if not, nothing else is known."""
    number: int | None
    """The vehicle's; None: the owner has no such vehicle."""
    newest: Newest | None
    """None: the owner has no such vehicle."""


NOT_STANDING: Final = OwnedState(False, None, None)


class OwnedStates:
    """Reads vehicles and their newest messages for their owners."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: Gathered[_Question, OwnedState] = Gathered(self._read)
        self._listed: Gathered[_Credential, list[VehicleName] | None] = Gathered(self._list)

    async def read(self, owner_id: int, proof: str, vehicle_id: str, codes: str) -> OwnedState:
        """Return the newest messages of these codes, or `ALL`, if the credential of this proof still stands."""
        return await self._asked.ask((owner_id, proof, vehicle_id, codes))

    async def list_vehicles(self, owner_id: int, proof: str) -> list[VehicleName] | None:
        """Return an owner's vehicles, in order of their ids; None if the credential no longer stands."""
        return await self._listed.ask((owner_id, proof))

    async def _read(self, asked: Sequence[_Question]) -> list[OwnedState]:
        found = [NOT_STANDING] * len(asked)
        for place, stands, number, code, *rest in await self._pool.fetch(_STATES_QUERY, *zip(*asked, strict=True)):
            state = found[place - 1]
            if state is NOT_STANDING:
                state = found[place - 1] = OwnedState(stands, number, None if number is None else {})
            if code is not None:
                assert state.newest is not None
                state.newest[code] = Message(code, *rest)
        return found

    async def _list(self, asked: Sequence[_Credential]) -> list[list[VehicleName] | None]:
        rows = await self._pool.fetch(_VEHICLES_QUERY, *zip(*asked, strict=True))
        return [[VehicleName(*vehicle) for vehicle in vehicles] if stands else None for stands, vehicles in rows]


def in_order(messages: Newest) -> list[Message]:
    """Return messages in the reference's order: the firmware, the status, then by code."""
    return sorted(messages.values(), key=lambda message: (message.code != "F", message.code != "S", message.code))


async def read_newest(db: Pool, vehicle: int) -> list[Message]:
    """Return the newest message of every code of a vehicle that the caller is known to reach, in the same order."""
    return in_order({row[0]: Message(*row) for row in await db.fetch(_NEWEST, vehicle)})
