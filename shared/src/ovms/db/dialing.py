"""Opens connections to PostgreSQL: of several hosts to the one that takes writes (docs/decisions/0016).

asyncpg asks one host after the other within one limit, so that a host that is dead, and neither answers nor refuses, takes all
of the time there is. Here each has the others wait for a moment only, and who took writes last is asked first.
"""

import asyncio
from typing import Any, Final

import asyncpg

from ovms.db.address import Host, read_address

HEAD_START: Final = 0.2
"""Seconds that a host has before the next is asked as well."""

_REFUSALS: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""What waiting does not mend: it is told rather than that another host is away."""


class NoServer(OSError):
    """No host takes writes, or none can be asked; the message says why."""


class Dialer:
    """The way to the server of one address.

    Raises:
        AddressError: it is none.
    """

    def __init__(self, url: str) -> None:
        address = read_address(url)
        self._url = url
        self._session_attrs = address.session_attrs
        self._hosts = list(address.hosts)

    async def connect(self, *_: object, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """Connect, with the options of `asyncpg.connect`, to whichever host takes writes.

        Raises:
            NoServer: none does.
            TimeoutError: the only one does not answer.
            asyncpg.PostgresError: one has said why not.
        """
        if len(self._hosts) > 1:
            return await self._connect_to_any(options)
        return await self._connect(options)

    async def _connect(self, options: dict[str, Any], host: Host | None = None) -> "asyncpg.Connection[asyncpg.Record]":
        if host is not None:
            options = {**options, "host": host.name, "port": host.port, "target_session_attrs": self._session_attrs}
        try:
            return await asyncpg.connect(self._url, **options)
        except ValueError as error:
            # A certificate that is wrong, a name that is none: to who writes, a ValueError is a row that is wrong.
            raise NoServer(str(error)) from error

    async def _connect_to_any(self, options: dict[str, Any]) -> "asyncpg.Connection[asyncpg.Record]":
        waiting = list(self._hosts)
        attempts: dict[asyncio.Task[asyncpg.Connection[asyncpg.Record]], Host] = {}
        failures: dict[Host, BaseException] = {}
        try:
            while waiting or attempts:
                if waiting:
                    host = waiting.pop(0)
                    attempts[asyncio.create_task(self._connect(options, host))] = host
                ended, _ = await asyncio.wait(
                    attempts, timeout=HEAD_START if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in ended:
                    host = attempts.pop(attempt)
                    if (failure := attempt.exception()) is None:
                        self._prefer(host)
                        return attempt.result()
                    failures[host] = failure
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_hang_up)
        raise _telling(failures)

    def _prefer(self, host: Host) -> None:
        self._hosts.remove(host)
        self._hosts.insert(0, host)


def _hang_up(attempt: "asyncio.Task[asyncpg.Connection[asyncpg.Record]]") -> None:
    """End a connection that nobody needs any more, where there is one."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


def _telling(failures: dict[Host, BaseException]) -> BaseException:
    """What to say where every host has failed."""
    for failure in failures.values():
        if isinstance(failure, _REFUSALS):
            return failure
    return NoServer("no server takes writes: " + "; ".join(f"{host}: {_reason(why)}" for host, why in failures.items()))


def _reason(failure: BaseException) -> str:
    if isinstance(failure, asyncpg.TargetServerAttributeNotMatched):
        return "it is read-only"
    return str(failure).partition("\n")[0] or type(failure).__name__
