"""Both databases of a stack: the ones that are given, or our own in the data directory."""

from ovms.local.datadir import DataDirectory
from ovms.local.errors import ServerFailed
from ovms.local.postgres import Postgres
from ovms.local.valkey import Valkey


class Databases:
    """PostgreSQL and Valkey; only what is not given by address is started and stopped."""

    def __init__(self, directory: DataDirectory, *, database_url: str | None, redis_url: str | None) -> None:
        self._postgres = None if database_url else Postgres(directory.postgres)
        self._valkey = None if redis_url else Valkey(directory.valkey)
        self._database_url = database_url or ""
        self._redis_url = redis_url or ""

    @property
    def database_url(self) -> str:
        return self._postgres.url if self._postgres else self._database_url

    @property
    def redis_url(self) -> str:
        return self._valkey.url if self._valkey else self._redis_url

    def start(self) -> None:
        """Start what is ours, ready when this returns.

        Raises:
            ServerFailed: a server cannot run here.
        """
        if self._postgres:
            self._postgres.start()
        if self._valkey:
            self._valkey.start()

    def check(self) -> None:
        """Make sure that what is ours still runs.

        Raises:
            ServerFailed: a server has ended.
        """
        for name, server in (("PostgreSQL", self._postgres), ("Valkey", self._valkey)):
            if server is not None and not server.is_running:
                raise ServerFailed(name, "it has ended")

    def stop(self) -> None:
        """Stop what is ours, as far as it was started."""
        if self._valkey:
            self._valkey.stop()
        if self._postgres:
            self._postgres.stop()
