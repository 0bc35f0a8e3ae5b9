"""Requests that take too long are ended, by one timer for all."""

import asyncio
from typing import Any

from api_gateway.edge.deadlines import Deadlines, allow_any_time, allow_longer
from fixtures.waiting import until

SHORT = 0.01


async def is_ended(deadlines: Deadlines, work: asyncio.Event, *, longer: float = 0.0, endless: bool = False) -> bool:
    """Whether a request that waits for `work` is ended before that."""
    scope: dict[str, Any] = {}
    try:
        async with deadlines.limit(scope):
            if longer:
                allow_longer(scope, longer)
            if endless:
                allow_any_time(scope)
            await work.wait()
    except TimeoutError:
        return True
    return False


async def test_only_what_takes_too_long_is_ended() -> None:
    deadlines, never, at_last = Deadlines(SHORT), asyncio.Event(), asyncio.Event()
    patient = [asyncio.create_task(is_ended(deadlines, at_last, **more)) for more in ({"longer": 60.0}, {"endless": True})]
    assert await asyncio.gather(*(is_ended(deadlines, never) for _ in range(3))) == [True] * 3
    assert not any(task.done() for task in patient)
    at_last.set()
    assert await asyncio.gather(*patient) == [False, False]


async def test_a_request_after_a_pause_is_ended_too() -> None:
    deadlines, never = Deadlines(SHORT), asyncio.Event()
    assert await is_ended(deadlines, never)
    await until(lambda: deadlines._timer is None)
    assert await is_ended(deadlines, never)


async def test_one_timer_is_set_for_all() -> None:
    deadlines = Deadlines(60)
    async with deadlines.limit({}), deadlines.limit({}):
        timer = deadlines._timer
        assert timer is not None
    async with deadlines.limit({}):
        assert deadlines._timer is timer
    timer.cancel()


async def test_who_is_ended_is_ended_once() -> None:
    """What it does on its way out is not cut short by the next look."""
    deadlines, went_out = Deadlines(SHORT), False
    try:
        async with deadlines.limit({}):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(SHORT * 3)
                went_out = True
    except TimeoutError:
        await asyncio.sleep(SHORT * 3)
    assert went_out
