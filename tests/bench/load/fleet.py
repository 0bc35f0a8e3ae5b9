"""The cars of a run: as many as asked for, each with a password of its own, a hundred to an owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from ovms.db.passwords import hash_password
from ovms.db.sealing import Sealer

OWNER_PASSWORD: Final = "bench"
CARS_OF_OWNER: Final = 100

_OWNERS: Final = "INSERT INTO owners (name, password_hash) SELECT name, $2 FROM unnest($1::text[]) AS new(name)"

_VEHICLES: Final = """
INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id)
SELECT owners.id, vehicle_id, new.password, new.password_key_id
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]) AS new(owner, vehicle_id, password, password_key_id)
JOIN owners ON owners.name = new.owner
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What a car logs in as, and whose it is."""

    vehicle_id: str
    password: bytes
    owner: str


def account(number: int) -> Account:
    """One car of the fleet."""
    return Account(f"BENCH{number:06}", b"secret-%06d" % number, f"bench{number // CARS_OF_OWNER}")


def accounts(first: int, count: int) -> list[Account]:
    """Some cars of the fleet."""
    return [account(number) for number in range(first, first + count)]


async def provision(database_url: str, secret_keys: str, count: int) -> None:
    """Put the first cars and their owners into an empty database."""
    cars = accounts(0, count)
    connection = await asyncpg.connect(database_url)
    try:
        # One hash for all: making it is slow by design.
        await connection.execute(_OWNERS, sorted({car.owner for car in cars}), hash_password(OWNER_PASSWORD))
        await connection.execute(_VEHICLES, *_columns(cars, Sealer.from_setting(secret_keys)))
        await connection.execute("ANALYZE owners, vehicles")
    finally:
        await connection.close()


def _columns(cars: Sequence[Account], sealer: Sealer) -> list[Sequence[object]]:
    sealed = [sealer.seal(car.password, context=car.vehicle_id) for car in cars]
    key_ids, passwords = zip(*sealed, strict=True)
    return [[car.owner for car in cars], [car.vehicle_id for car in cars], passwords, key_ids]
