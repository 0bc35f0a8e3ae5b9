"""Tells one reader what waits for him, as fast as he reads."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from api_gateway.live.events import Told
from api_gateway.live.inbox import GONE, Ending, Inbox

AT_ONCE: Final = 64
"""Events in one write; more wait where newer ones take their place."""
WHOLE_WITHIN: Final = 3.0
"""Seconds for what is newest to be read before he is told what there is."""
STALLED_AFTER: Final = 30.0
"""Seconds for a reader to make room."""

ToldUntil = tuple[Told, float | None]
"""An event, and the Unix time until which all has been told with it, where there is one."""


class Reader(Protocol):
    """Where events go."""

    async def tell(self, told: Sequence[ToldUntil]) -> None:
        """Send events, and wait for room for more."""

    async def beat(self) -> None:
        """Send what says that nothing happens."""

    async def end(self, ending: Ending) -> None:
        """Say why no more is told."""


async def tell(inbox: Inbox, reader: Reader, heartbeat: float) -> None:
    """Tell a reader until the end of his inbox.

    Raises:
        TimeoutError: he reads no more.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(WHOLE_WITHIN):
            await inbox.whole()
    while inbox.ends is None:
        since = inbox.waits_since
        if waiting := take(inbox):
            async with asyncio.timeout(STALLED_AFTER):
                await reader.tell(waiting)
            inbox.has_told(waiting, since)
        else:
            await _await_more(inbox, reader, heartbeat)
    if inbox.ends is not GONE:
        async with asyncio.timeout(STALLED_AFTER):
            await reader.end(inbox.ends)


async def _await_more(inbox: Inbox, reader: Reader, heartbeat: float) -> None:
    try:
        async with asyncio.timeout(heartbeat):
            await inbox.wait()
    except TimeoutError:
        async with asyncio.timeout(STALLED_AFTER):
            await reader.beat()


def take(inbox: Inbox) -> list[ToldUntil]:
    """What waits, or the first of it."""
    taken: list[ToldUntil] = []
    while len(taken) < AT_ONCE and (told := inbox.take()) is not None:
        taken.append(told)
    return taken
