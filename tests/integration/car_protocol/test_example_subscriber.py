"""docs/examples/subscriber.py, as a program beside a running service."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fixtures.cars import DEADLINE, CarService
from ovms.local.valkey import Valkey

PROGRAM = Path(__file__).parents[3] / "docs" / "examples" / "subscriber.py"


class Subscriber:
    """The program, and what it prints."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def ends(self) -> int | None:
        """Its exit status; what it still has to print is read, since it waits until that is."""
        await asyncio.wait_for(self.process.communicate(), DEADLINE)
        return self.process.returncode

    async def until_prints(self, *lines: str) -> None:
        """Wait until it has printed all of these, in any order, from now on."""
        awaited, printed = set(lines), []
        try:
            async with asyncio.timeout(DEADLINE):
                while awaited:
                    assert self.process.stdout is not None
                    line = (await self.process.stdout.readline()).decode()
                    assert line, f"it has ended after {printed}"
                    printed.append(line.rstrip("\n"))
                    awaited.discard(printed[-1])
        except TimeoutError:
            raise AssertionError(f"it printed only {printed}") from None


@asynccontextmanager
async def started(redis_url: str, *vehicle_ids: str) -> AsyncIterator[Subscriber]:
    environment = {**os.environ, "OVMS_REDIS_URL": redis_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), *vehicle_ids, env=environment, stdout=PIPE, stderr=STDOUT
    )
    try:
        yield Subscriber(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


HEARD = [f"ovms:{{{name}}}:*:{what} is heard" for name in ("DEMO", "OTHER-1") for what in ("messages", "peers")]


async def test_it_prints_messages_and_counts_also_after_a_restart_of_redis(lonely_service: tuple[CarService, Valkey]) -> None:
    service, valkey = lonely_service
    async with started(valkey.url, "demo", "Other-1") as subscriber:
        await subscriber.until_prints(*HEARD)
        car = await service.car()
        car.send(b"S75.5,K", "PAgrüß dich".encode(), b"x\xff")
        await service.app("Other-1")
        await subscriber.until_prints(
            "ovms:{DEMO}:1:peers car 1, apps 0, batch clients 0",
            "ovms:{DEMO}:1:messages S 75.5,K",
            "ovms:{DEMO}:1:messages P Agrüß dich",
            "ovms:{DEMO}:1:messages x �",
            "ovms:{OTHER-1}:2:peers car 0, apps 1, batch clients 0",
        )

        valkey.kill()
        valkey.start()
        await subscriber.until_prints(*HEARD)
        app = await service.app()
        await subscriber.until_prints("ovms:{DEMO}:1:peers car 1, apps 1, batch clients 0")
        # What is published while the service finds its connection to be dead is dropped.
        say = asyncio.create_task(_say(car, app))
        await subscriber.until_prints("ovms:{DEMO}:1:messages D 1")
        say.cancel()

        subscriber.process.send_signal(signal.SIGINT)
        assert await subscriber.ends() == 0


async def _say(car, app) -> None:
    while True:
        car.send(b"D1")
        await app.until_hears(b"D1")


async def test_it_wants_vehicles() -> None:
    async with started("redis://127.0.0.1:1") as subscriber:
        await subscriber.until_prints("usage: subscriber.py VEHICLE-ID …")
        assert await subscriber.ends() == 1
