"""Configurations for modules that ask for theirs (manual, Auto Provisioning): by key, readable with a secret only.

Those that were brought from a reference server are enciphered already, with secrets that only their modules know. They are sent
as they are, unless this server has a configuration of its own for the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ovms.db.engine import Connection, Pool
from ovms.db.owners import Owner
from ovms.db.sealing import Sealer

_FIND: Final = """
SELECT key, secret, secret_key_id, record, record_key_id FROM autoprovision WHERE key = ANY($1::text[])
"""

_GET: Final = """
SELECT key, secret, secret_key_id, record, record_key_id, name FROM autoprovision JOIN owners ON owners.id = owner_id
WHERE key = $1
"""

_PUT: Final = """
INSERT INTO autoprovision (key, owner_id, secret, secret_key_id, record, record_key_id) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (key) DO UPDATE SET owner_id = excluded.owner_id, secret = excluded.secret,
  secret_key_id = excluded.secret_key_id, record = excluded.record, record_key_id = excluded.record_key_id
"""

_LIST: Final = """
SELECT key, name FROM autoprovision JOIN owners ON owners.id = owner_id
UNION
SELECT key, coalesce(name, '') FROM enciphered_configurations LEFT JOIN owners ON owners.id = owner_id
ORDER BY key
"""

_REMOVE: Final = """
WITH own AS (DELETE FROM autoprovision WHERE key = $1 RETURNING key),
  brought AS (DELETE FROM enciphered_configurations WHERE key = $1 RETURNING key)
SELECT EXISTS (SELECT FROM own) OR EXISTS (SELECT FROM brought)
"""

_FIND_ENCIPHERED: Final = "SELECT key, token, digest, record FROM enciphered_configurations WHERE key = ANY($1::text[])"


class Enciphered(NamedTuple):
    """A configuration as it is sent: a token, a digest that proves the secret with it, and the enciphered record."""

    token: bytes
    digest: bytes
    record: bytes


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


async def find_enciphered(pool: Pool, keys: Sequence[str]) -> dict[str, Enciphered]:
    """The enciphered configurations among these keys, by key."""
    rows = await pool.fetch(_FIND_ENCIPHERED, [key for key in keys if "\0" not in key])
    return {key: Enciphered(*(text.encode() for text in sent)) for key, *sent in rows}


async def get_configuration(connection: Connection, key: str) -> tuple[Configuration, str] | None:
    """The configuration of a key and its owner's name."""
    row = await connection.fetchrow(_GET, key)
    if row is None:
        return None
    *stored, owner_name = row
    return Configuration(*stored), owner_name


async def put_configuration(
    connection: Connection, owner: Owner, key: str, *, secret: bytes, record: bytes, sealer: Sealer
) -> None:
    """Add the configuration of a key, or replace it."""
    secret_key_id, sealed_secret = sealer.seal(secret, context=key)
    record_key_id, sealed_record = sealer.seal(record, context=key)
    await connection.execute(_PUT, key, owner.key, sealed_secret, secret_key_id, sealed_record, record_key_id)


async def list_configurations(connection: Connection) -> list[tuple[str, str]]:
    """Every key with its owner's name, empty for one that was brought along without an owner."""
    return [(key, name) for key, name in await connection.fetch(_LIST)]


async def remove_configuration(connection: Connection, key: str) -> bool:
    """Remove the configuration of a key; whether there was one."""
    removed: bool = await connection.fetchval(_REMOVE, key)
    return removed
