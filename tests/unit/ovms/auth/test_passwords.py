"""Password checks are off the loop and bounded."""

import asyncio
import threading

import pytest

from fixtures.waiting import until
from ovms.auth.passwords import Overloaded, PasswordChecks


class Gate:
    """A verification that waits until it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.threads: set[str] = set()

    def __call__(self, password_hash: str, password: str) -> bool:
        self.threads.add(threading.current_thread().name)
        assert self.open.wait(10)
        return password_hash == password


async def test_the_loop_runs_on_and_the_queue_is_bounded() -> None:
    gate = Gate()
    checks = PasswordChecks(gate, threads=2, waiting=1)
    running = [asyncio.create_task(checks.check("a", given)) for given in ("a", "b", "a")]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await checks.check("a", "a")
    gate.open.set()
    assert await asyncio.gather(*running) == [True, False, True]
    assert threading.current_thread().name not in gate.threads
    assert await checks.check("a", "a")
    checks.close()


async def test_a_caller_who_goes_away_still_counts_until_his_check_ends() -> None:
    gate = Gate()
    checks = PasswordChecks(gate, threads=1, waiting=0)
    running = asyncio.create_task(checks.check("a", "a"))
    await until(lambda: gate.threads)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(Overloaded):
        await checks.check("a", "a")
    gate.open.set()
    await until(lambda: not checks._under_way)
    assert await checks.check("a", "a")
    checks.close()
