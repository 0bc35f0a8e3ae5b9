"""Password checks, off the event loop and bounded: Argon2id takes tens of milliseconds and as many megabytes."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from ovms.db.passwords import hash_password
from ovms.errors import OvmsError

THREADS: Final = 2
WAITING: Final = 64

Verify = Callable[[str, str], bool]
T = TypeVar("T")


class Overloaded(OvmsError):
    """Too many passwords wait to be checked; try again in a while."""


class PasswordChecks:
    """Two threads that verify and hash passwords, and a queue before them that refuses when it is full."""

    def __init__(self, verify: Verify, *, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._verify = verify
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._most = threads + waiting
        self._under_way = 0

    async def check(self, password_hash: str, password: str) -> bool:
        """Whether a password is the one that was hashed.

        Raises:
            Overloaded: too many checks wait already.
        """
        return await self._run(partial(self._verify, password_hash, password))

    async def hash(self, password: str) -> str:
        """Hash a password under a fresh salt.

        Raises:
            Overloaded: too many passwords wait already.
        """
        return await self._run(partial(hash_password, password))

    def close(self) -> None:
        """Let the threads end; checks that have not begun are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            raise Overloaded
        self._under_way += 1
        running = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        # A caller that goes away leaves its check running, and that still counts.
        running.add_done_callback(lambda _: _call_if_open(loop, self._done))
        return await asyncio.wrap_future(running)

    def _done(self) -> None:
        self._under_way -= 1


def _call_if_open(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
