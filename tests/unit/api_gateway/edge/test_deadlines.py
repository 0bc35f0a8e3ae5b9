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
        with deadlines.limit(scope):
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
    with deadlines.limit({}), deadlines.limit({}):
        timer = deadlines._timer
        assert timer is not None
    with deadlines.limit({}):
        assert deadlines._timer is timer
    timer.cancel()


async def test_who_is_ended_is_ended_once() -> None:
    """What it does on its way out is not cut short by the next look."""
    deadlines, went_out = Deadlines(SHORT), False
    try:
        with deadlines.limit({}):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(SHORT * 3)
                went_out = True
    except TimeoutError:
        await asyncio.sleep(SHORT * 3)
    assert went_out


async def test_who_is_cancelled_by_others_as_well_ends_as_cancelled() -> None:
    deadlines, way_out = Deadlines(SHORT), asyncio.Event()

    async def request() -> None:
        with deadlines.limit({}):
            try:
                await asyncio.Event().wait()
            finally:
                way_out.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await way_out.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_who_goes_on_after_he_was_ended_is_not_cancelled() -> None:
    deadlines = Deadlines(SHORT)
    assert await is_ended(deadlines, asyncio.Event())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
