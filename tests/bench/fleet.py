"""The cars of a run: as many as asked for, each with a password of its own, all of one owner."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from ovms.db.passwords import hash_password
from ovms.db.sealing import Sealer

OWNER: Final = "bench"
OWNER_PASSWORD: Final = "bench"

_VEHICLES: Final = """
INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id)
SELECT $1, new.* FROM unnest($2::text[], $3::bytea[], $4::text[]) AS new(vehicle_id, password, password_key_id)
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What a car logs in as."""

    vehicle_id: str
    password: bytes


def accounts(count: int) -> list[Account]:
    """The first cars of the fleet."""
    return [Account(f"BENCH{number:06}", b"secret-%06d" % number) for number in range(count)]


async def provision(database_url: str, secret_keys: str, count: int) -> None:
    """Put the owner and the cars into an empty database."""
    sealer = Sealer.from_setting(secret_keys)
    cars = accounts(count)
    sealed = [sealer.seal(car.password, context=car.vehicle_id) for car in cars]
    connection = await asyncpg.connect(database_url)
    try:
        insert = "INSERT INTO owners (name, password_hash) VALUES ($1, $2) RETURNING id"
        owner = await connection.fetchval(insert, OWNER, hash_password(OWNER_PASSWORD))
        key_ids, passwords = zip(*sealed, strict=True)
        await connection.execute(_VEHICLES, owner, [car.vehicle_id for car in cars], passwords, key_ids)
        await connection.execute("ANALYZE vehicles")
    finally:
        await connection.close()
