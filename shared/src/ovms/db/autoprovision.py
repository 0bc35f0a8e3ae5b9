"""Configurations for modules that ask for theirs (manual, Auto Provisioning): by key, readable with a secret only.

Those that were brought from a reference server are enciphered already, with secrets that only their modules know. They are sent
as they are, unless this server has a configuration of its own for the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import any_, delete, exists, func, or_, select, union
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db.engine import Connection, Pool
from ovms.db.owners import Owner
from ovms.db.sealing import Sealer
from ovms.db.statement import Query, Statement, param
from ovms.db.tables import autoprovision, enciphered_configurations, owners


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


_CONFIGURATION: Final = tuple(autoprovision.c[name] for name in Configuration.__dataclass_fields__)

_FIND: Final = Query(Configuration, select(*_CONFIGURATION).where(autoprovision.c.key == any_(param("keys"))))

_GET: Final = Query(
    Configuration,
    select(*_CONFIGURATION, owners.c.name)
    .join_from(autoprovision, owners, owners.c.id == autoprovision.c.owner_id)
    .where(autoprovision.c.key == param("key")),
)

_putting: Final = upsert(autoprovision).values(
    owner_id=param("owner_id"), **{name: param(name) for name in Configuration.__dataclass_fields__}
)
_PUT: Final = Statement(
    _putting.on_conflict_do_update(
        index_elements=["key"],
        set_={name: _putting.excluded[name] for name in ("owner_id", "secret", "secret_key_id", "record", "record_key_id")},
    )
)

_LIST: Final = Statement(
    union(
        select(autoprovision.c.key, owners.c.name).join_from(autoprovision, owners, owners.c.id == autoprovision.c.owner_id),
        select(enciphered_configurations.c.key, func.coalesce(owners.c.name, "")).join_from(
            enciphered_configurations, owners, owners.c.id == enciphered_configurations.c.owner_id, isouter=True
        ),
    ).order_by("key")
)

_own: Final = delete(autoprovision).where(autoprovision.c.key == param("key")).returning(autoprovision.c.key).cte("own")
_brought: Final = (
    delete(enciphered_configurations)
    .where(enciphered_configurations.c.key == param("key"))
    .returning(enciphered_configurations.c.key)
    .cte("brought")
)
_REMOVE: Final = Statement(select(or_(exists().select_from(_own), exists().select_from(_brought))))

_FIND_ENCIPHERED: Final = Statement(
    select(*(enciphered_configurations.c[name] for name in ("key", *Enciphered._fields))).where(
        enciphered_configurations.c.key == any_(param("keys"))
    )
)


async def find_configurations(pool: Pool, keys: Sequence[str]) -> dict[str, Configuration]:
    """The configurations among these keys, by key."""
    found = await _FIND.find_all(pool, keys=[key for key in keys if "\0" not in key])
    return {configuration.key: configuration for configuration in found}


async def find_enciphered(pool: Pool, keys: Sequence[str]) -> dict[str, Enciphered]:
    """The enciphered configurations among these keys, by key."""
    rows = await _FIND_ENCIPHERED.fetch(pool, keys=[key for key in keys if "\0" not in key])
    return {key: Enciphered(*(text.encode() for text in sent)) for key, *sent in rows}


async def get_configuration(connection: Connection, key: str) -> tuple[Configuration, str] | None:
    """The configuration of a key and its owner's name."""
    row = await _GET.fetchrow(connection, key=key)
    return None if row is None else (_GET.build(row), row["name"])


async def put_configuration(
    connection: Connection, owner: Owner, key: str, *, secret: bytes, record: bytes, sealer: Sealer
) -> None:
    """Add the configuration of a key, or replace it."""
    secret_key_id, sealed_secret = sealer.seal(secret, context=key)
    record_key_id, sealed_record = sealer.seal(record, context=key)
    await _PUT.execute(
        connection,
        key=key,
        owner_id=owner.key,
        secret=sealed_secret,
        secret_key_id=secret_key_id,
        record=sealed_record,
        record_key_id=record_key_id,
    )


async def list_configurations(connection: Connection) -> list[tuple[str, str]]:
    """Every key with its owner's name, empty for one that was brought along without an owner."""
    return [(key, name) for key, name in await _LIST.fetch(connection)]


async def remove_configuration(connection: Connection, key: str) -> bool:
    """Remove the configuration of a key; whether there was one."""
    removed: bool = await _REMOVE.fetchval(connection, key=key)
    return removed
