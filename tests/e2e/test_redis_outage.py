"""Redis is away: cars stay, their watchers on the same replica miss nothing, and soon after it is back everybody knows all.

It is killed and restarted empty; it is restarted in good order; it is paused with its sockets open, so that nobody is told, for
30 s (`OVMS_TEST_PAUSE`, seconds, makes it another time).
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from fixtures.cars import Peer
from fixtures.driving import Driver, beside, call_all_the_time
from fixtures.replicas import Rig, Store
from fixtures.visitors import Visitors, becomes, heard, told

A, B = range(2)
RETURNED = 5.0
"""Seconds after its return until everybody knows everything."""
SOON = 10.0
AWAY = 3.0
PAUSED = float(os.environ.get("OVMS_TEST_PAUSE", "30"))
ANSWERED = 12.0
"""Seconds that an HTTP call may take while Redis is away."""

Outage = tuple[Callable[[Store], None], float, Callable[[Store], None], int]
"""How it goes, for how long, how it comes back, and what a session made before is answered then."""


def _start_empty(valkey: Store) -> None:
    valkey.restart(empty=True)


NAMES = ("DRIVEN", "MOVED", "LEFT", "COMES", "TAKEN")
OUTAGES: dict[str, Outage] = {
    "killed and restarted empty": (Store.kill, AWAY, _start_empty, 401),
    "restarted in good order": (Store.stop, AWAY, Store.start, 200),
    "paused": (Store.pause, PAUSED, Store.resume, 200),
}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    vehicles = [
        name + str(number) for name in ("DRIVEN", "MOVED", "LEFT", "COMES", "TAKEN") for number in range(len(OUTAGES) + 1)
    ]
    with Rig(replicas=2, gateways=2, owners={"demo": vehicles}) as made:
        yield made


@pytest.fixture
async def visitors(rig: Rig) -> AsyncIterator[Visitors]:
    async with Visitors(rig) as everybody:
        yield everybody


@pytest.mark.timeout(PAUSED + 90)
@pytest.mark.parametrize("way", OUTAGES)
async def test_redis_is_away(visitors: Visitors, rig: Rig, way: str) -> None:
    leave, seconds, come_back, answered = OUTAGES[way]
    number = list(OUTAGES).index(way)
    driven, moved, left, comes, taken = (f"{name}{number}" for name in NAMES)
    driver = Driver(await visitors.car(driven, A))
    here, elsewhere = await visitors.app(driven, A), await visitors.app(driven, B)
    caller, watching = await visitors.caller(), await visitors.caller()
    await watching.watch(driven)
    moving, leaving, former = await visitors.car(moved, A), await visitors.car(left, A), await visitors.car(taken, A)
    apps = [await visitors.app(name, B) for name in (moved, left, comes)]
    app_of_the_taken = await visitors.app(taken, A)
    await becomes(lambda: told(driver.car), b"Z3", SOON)
    await becomes(lambda: [told(app) for app in (*apps, app_of_the_taken)], [b"Z1", b"Z1", b"Z0", b"Z1"], SOON)
    answers: Counter[int] = Counter()
    slowest = [0.0]

    async with beside(driver.drive(), call_all_the_time(caller, driven, answers, slowest)):
        await becomes(lambda: len(heard(elsewhere, b"S")) > 10, True, SOON)
        await becomes(lambda: told(driver.car), b"Z4", SOON)
        await rig.aside(leave, rig.valkey)
        away_since = time.monotonic()

        # Who moves, leaves, comes and takes over meanwhile.
        await asyncio.sleep(min(1.0, seconds / 3))
        moving.close()
        leaving.close()
        moving = await visitors.car(moved, B)
        coming = await visitors.car(comes, A)
        newer = await visitors.car(taken, B)
        late_app = await visitors.app(driven, A)
        elsewhere.send(b"C20,while it is away")
        await becomes(lambda: told(late_app, b"S") is not None, True, SOON)
        await moving.drain()
        await asyncio.sleep(max(0.0, away_since + seconds - time.monotonic()))
        assert not driver.car.is_closed
        count = len(driver.sent)
        await becomes(lambda: len(heard(here, b"S")) >= count, True, SOON)
        assert set(answers) <= {200, 503}, answers
        assert answers[503] > 0
        assert slowest[0] < ANSWERED
        answers.clear()

        await rig.aside(come_back, rig.valkey)
        back_at = time.monotonic()

        def in_time() -> float:
            return back_at + RETURNED - time.monotonic()

        # An app here, another that came meanwhile, one elsewhere, and two HTTP sessions if they were kept.
        apps_of_driven = 5 if answered == 200 else 3
        await becomes(lambda: told(driver.car), b"Z%d" % apps_of_driven, in_time())
        await becomes(lambda: [told(app) for app in apps], [b"Z1", b"Z0", b"Z1"], in_time())
        async with asyncio.timeout(in_time()):
            await former.closed()
        count = len(driver.sent)
        await becomes(lambda: driver.sent[count] in elsewhere.heard if len(driver.sent) > count else None, True, in_time())
        await becomes(lambda: told(newer), b"Z1", in_time())
        asking = await visitors.caller(gateway=1)
        expected = [(1, apps_of_driven, 0), (1, 1, 0), (0, 1, 0), (1, 1, 0), (1, 1, 0)]
        for gateway in (0, 1):
            for name, counts in zip((driven, moved, left, comes, taken), expected, strict=True):
                await becomes(lambda gateway=gateway, name=name: asking.counts(name, gateway), counts, in_time())
        for gateway in (0, 1):
            assert (await watching.call("GET", "/api/vehicles", gateway)).status_code == answered

    assert set(answers) <= {200, 401, 503}, answers
    await everything_is_as_it_was(visitors, driver, [here, late_app], elsewhere)
    everybody = (here, elsewhere, late_app, *apps, app_of_the_taken, moving, coming, newer)
    assert [peer for peer in everybody if peer.is_closed] == []


async def everything_is_as_it_was(visitors: Visitors, driver: Driver, here: list[Peer], elsewhere: Peer) -> None:
    """The watchers on its replica have heard all; those elsewhere hear again, and are heard."""
    await driver.car.drain()
    for number in range(len(driver.sent), len(driver.sent) + 20):
        driver.sent.append(b"S%d,K" % number)
        driver.car.send(driver.sent[-1])
    last = driver.sent[-1]
    for watcher in (*here, elsewhere):
        await becomes(lambda watcher=watcher: told(watcher, b"S"), last, SOON)
    await becomes(lambda: heard(here[0], b"S"), driver.sent, SOON)
    since = driver.sent.index(heard(here[1], b"S")[0])
    assert heard(here[1], b"S") == driver.sent[since:], "from its greeting on"
    came = heard(elsewhere, b"S")
    assert came[-20:] == driver.sent[-20:]
    assert [message for message in driver.sent if message in set(came)] == came, "in order, each at most once"
    elsewhere.send(b"C7,the last")
    await becomes(lambda: told(driver.car, b"C7"), b"C7,the last", SOON)
    assert heard(driver.car, b"C").count(b"C20,while it is away") <= 1
    driver.car.send(b"c7,0")
    await becomes(lambda: told(elsewhere, b"c7"), b"c7,0", SOON)
