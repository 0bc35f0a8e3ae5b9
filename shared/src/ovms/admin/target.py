"""What a command works on: the database of the environment, else that of the data directory.

With `make run` up, the command goes through the socket of its PostgreSQL; otherwise it starts one for as long as it runs.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ovms.admin.errors import AdminError, InputError
from ovms.bus.address import AddressError as RedisAddressError
from ovms.bus.client import check_redis_url
from ovms.db.address import AddressError, read_address
from ovms.db.migrate import Schema, read_schema, upgrade
from ovms.db.sealing import Sealer
from ovms.local.datadir import DEFAULT, DataDirectory
from ovms.local.errors import DirectoryBusy
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey

DATABASE_URL: Final = "OVMS_DATABASE_URL"
SECRET_KEYS: Final = "OVMS_SECRET_KEYS"  # noqa: S105  (the name of the variable)
REDIS_URL: Final = "OVMS_REDIS_URL"
DATA_DIR: Final = "OVMS_DATA_DIR"
REFERENCE_URL: Final = "OVMS_REFERENCE_URL"


@dataclass(frozen=True, slots=True)
class Target:
    """A database, and the keys of the secrets in it (None: there are none)."""

    database_url: str = field(repr=False)
    secret_keys: str | None = field(repr=False)
    reference_url: str | None = field(default=None, repr=False)
    """The database of a reference server that is to be brought along."""
    redis_url: str | None = field(default=None, repr=False)
    """Where running services subscribe to revocations; None: no service runs on this database."""

    def sealer(self) -> Sealer:
        """What seals and opens the passwords of vehicles.

        Raises:
            AdminError: there are no keys.
            SealingError: they are not written as they should be.
        """
        if self.secret_keys is None:
            raise AdminError(f"{SECRET_KEYS} is not set: without the keys no password of a vehicle can be sealed")
        return Sealer.from_setting(self.secret_keys)


def data_directory(environment: Mapping[str, str]) -> DataDirectory:
    """The data directory that the environment names."""
    return DataDirectory(Path(environment.get(DATA_DIR) or DEFAULT))


def database_url(environment: Mapping[str, str]) -> str | None:
    """The address of the database that the environment names, where it names one.

    Raises:
        InputError: it is none.
    """
    url = environment.get(DATABASE_URL) or None
    try:
        if url is not None:
            read_address(url)
    except AddressError as error:
        raise InputError(f"{DATABASE_URL}: {error}") from None
    return url


def redis_url(environment: Mapping[str, str]) -> str | None:
    """Return the address of the Redis that the environment names, if it names one.

    Raises:
        InputError: it is not an address of a Redis.
    """
    url = environment.get(REDIS_URL) or None
    try:
        if url is not None:
            check_redis_url(url)
    except RedisAddressError as error:
        raise InputError(f"{REDIS_URL}: {error}") from None
    return url


@contextmanager
def open_target(environment: Mapping[str, str], *, creates: bool) -> Iterator[Target]:
    """Find the database, or run it for the time of the block.

    Args:
        creates: whether to create and migrate the database of the data directory.

    Raises:
        InputError: the environment names something else than a database.
        AdminError: there is no database, or it lacks migrations of this version, and it is not to be created.
        LocalError: the database of the data directory cannot be reached or started.
    """
    directory, reference = data_directory(environment), environment.get(REFERENCE_URL)
    redis, valkey = redis_url(environment), Valkey(directory.valkey)
    if url := database_url(environment):
        keys = environment.get(SECRET_KEYS) or directory.known_secret_keys()
        with ExitStack() as stack:
            stack.callback(valkey.stop)
            valkey.attach()  # `ovms run` on this database has it, unless OVMS_REDIS_URL names another
            yield Target(url, keys, reference, redis or valkey.url)
        return
    server = Postgres(directory.postgres)
    if not creates and not server.exists:
        raise AdminError(
            f"{directory.path} holds no database: name the data directory in {DATA_DIR} or a database in {DATABASE_URL}, "
            "or create one with `ovms run` or `ovms migrate`"
        )
    with ExitStack() as stack:
        stack.callback(server.stop)
        try:
            stack.enter_context(directory)
        except DirectoryBusy:
            server.attach()
            stack.callback(valkey.stop)
            valkey.attach()
            redis = redis or valkey.url
        else:
            server.start()
            if creates:
                asyncio.run(upgrade(server.url))
            elif asyncio.run(read_schema(server.url)) is Schema.BEHIND:
                raise AdminError(f"the database in {directory.path} is of an older version: run `ovms migrate`")
        keys = directory.secret_keys() if creates else directory.known_secret_keys()
        yield Target(server.url, environment.get(SECRET_KEYS) or keys, reference, redis)
