"""Requests that take too long are ended, unless their call has extended the deadline."""

import asyncio
from typing import Any

from api_gateway.edge.deadlines import allow_any_time, allow_longer, deadline

SHORT = 0.01


async def is_ended(work: asyncio.Event, *, longer: float = 0.0, endless: bool = False) -> bool:
    """Whether a request that waits for `work` is ended before that."""
    scope: dict[str, Any] = {}
    try:
        async with deadline(scope, SHORT):
            if endless:
                allow_any_time(scope)
            if longer:
                allow_longer(scope, longer)
            await work.wait()
    except TimeoutError:
        return True
    return False


async def test_a_request_past_its_deadline_is_ended_and_no_other() -> None:
    never, at_last = asyncio.Event(), asyncio.Event()
    extended: list[dict[str, Any]] = [{"longer": 60.0}, {"endless": True}, {"endless": True, "longer": 60.0}]
    patient = [asyncio.create_task(is_ended(at_last, **more)) for more in extended]
    assert await asyncio.gather(*(is_ended(never) for _ in range(3))) == [True] * 3
    assert not any(task.done() for task in patient)
    at_last.set()
    assert await asyncio.gather(*patient) == [False] * 3
