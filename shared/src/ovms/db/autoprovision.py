"""Configurations for modules that ask for theirs (manual, Auto Provisioning): by key, readable with a secret only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ovms.db.engine import Pool
from ovms.db.owners import Owner
from ovms.db.sealing import Sealer
from ovms.db.tables import autoprovision, owners

_FIND: Final = """
SELECT key, secret, secret_key_id, record, record_key_id FROM autoprovision WHERE key = ANY($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A stored configuration, sealed."""

    key: str
    secret: bytes = field(repr=False)
    secret_key_id: str
    record: bytes = field(repr=False)
    record_key_id: str

    def open(self, sealer: Sealer) -> tuple[bytes, bytes]:
        """The secret, and the parameters with spaces between.

        Raises:
            SealingError: they were sealed under a key that is not known.
        """
        return (
            sealer.open(self.secret_key_id, self.secret, context=self.key),
            sealer.open(self.record_key_id, self.record, context=self.key),
        )


async def find_configurations(pool: Pool, keys: Sequence[str]) -> dict[str, Configuration]:
    """The configurations among these keys, by key."""
    rows = await pool.fetch(_FIND, [key for key in keys if "\0" not in key])
    return {row["key"]: Configuration(*row) for row in rows}


async def get_configuration(connection: AsyncConnection, key: str) -> tuple[Configuration, str] | None:
    """The configuration of a key and its owner's name."""
    columns = [column for column in autoprovision.c if column.name not in ("owner_id", "created_at")]
    found = select(*columns, owners.c.name).join(owners).where(autoprovision.c.key == key)
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        return None
    *stored, owner_name = row
    by_name = dict(zip((column.name for column in columns), stored, strict=True))
    return Configuration(**by_name), owner_name


async def put_configuration(
    connection: AsyncConnection, owner: Owner, key: str, *, secret: bytes, record: bytes, sealer: Sealer
) -> None:
    """Add the configuration of a key, or replace it."""
    secret_key_id, sealed_secret = sealer.seal(secret, context=key)
    record_key_id, sealed_record = sealer.seal(record, context=key)
    values = {
        "owner_id": owner.key,
        "secret": sealed_secret,
        "secret_key_id": secret_key_id,
        "record": sealed_record,
        "record_key_id": record_key_id,
    }
    added = insert(autoprovision).values(key=key, **values)
    await connection.execute(added.on_conflict_do_update(index_elements=["key"], set_=values))


async def list_configurations(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Every key with its owner's name."""
    found = select(autoprovision.c.key, owners.c.name).join(owners).order_by(autoprovision.c.key)
    return [(key, name) for key, name in await connection.execute(found)]


async def remove_configuration(connection: AsyncConnection, key: str) -> bool:
    """Remove the configuration of a key; whether there was one."""
    removed = delete(autoprovision).where(autoprovision.c.key == key).returning(autoprovision.c.key)
    return (await connection.execute(removed)).first() is not None
