"""The primary of Redis is killed, and sentinels promote another server.

Cars and apps stay, and 10 s after it was killed, at the latest, counts are right, what a car says reaches apps at the other
replica, a command reaches the car, and callers of the HTTP API have their sessions, or are told that they have none.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from fixtures.cars import Peer
from fixtures.driving import Driver, beside, call_all_the_time
from fixtures.replicas import Rig
from fixtures.sentinel import Watched, running_sentinels
from fixtures.visitors import Caller, Visitors, becomes, heard, told

A, B = range(2)
WITHIN = 10.0
SOON = 10.0
SEVERAL = 5
Counts: TypeAlias = tuple[int, ...]
"""Cars, apps and batch clients."""
NAMES = [f"CAR{number}" for number in range(8)]


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with running_sentinels(tmp_path_factory.mktemp("stores")) as watched:
        yield watched


@pytest.fixture
def rig(sentinels: Watched) -> Iterator[Rig]:
    """Its ports are none of theirs, since they run already."""
    with Rig(replicas=2, gateways=2, owners={"demo": NAMES}, start=False) as made:
        for program in made.programs:
            program.environment["OVMS_REDIS_URL"] = sentinels.url
            program.start(ready=False)
        for program in made.programs:
            program.await_ready()
        yield made


@pytest.fixture
async def visitors(rig: Rig) -> AsyncIterator[Visitors]:
    async with Visitors(rig) as everybody:
        yield everybody


@dataclass
class Scene:
    """Cars at one replica, an app of each at the other, and callers at both gateways."""

    cars: dict[str, Peer]
    apps: dict[str, Peer]
    driver: Driver
    """Drives the first."""
    asking: Caller
    counts: dict[str, Counts]

    @property
    def driven(self) -> str:
        return NAMES[0]


async def test_a_primary_dies(visitors: Visitors, rig: Rig, sentinels: Watched) -> None:
    cars = {name: await visitors.car(name, A) for name in NAMES}
    apps = {name: await visitors.app(name, B) for name in NAMES}
    watching, asking = await visitors.caller(), await visitors.caller(gateway=1)
    counts: dict[str, Counts] = dict.fromkeys(NAMES, (1, 1, 0))
    scene = Scene(cars, apps, Driver(cars[NAMES[0]]), asking, counts)
    await watching.watch(scene.driven)
    counts[scene.driven] = (1, 2, 0)
    await becomes(lambda: [told(car) for car in cars.values()], [b"Z%d" % counts[name][1] for name in cars], SOON)
    answers, slowest = Counter[int](), [0.0]
    async with beside(scene.driver.drive(), call_all_the_time(watching, scene.driven, answers, slowest)):
        await becomes(lambda: len(heard(apps[scene.driven], b"S")) > SEVERAL, True, SOON)
        await rig.aside(lambda: sentinels.kill(sentinels.primary()))
        print(await all_is_right(scene, leaving=NAMES[1]))
        for gateway in (0, 1):
            answer = await watching.call("GET", "/api/vehicles", gateway)
            assert answer.status_code in (200, 401), answer.text
    assert set(answers) <= {200, 401, 503}, answers
    assert [peer for peer in (*cars.values(), *apps.values()) if peer.is_closed] == []
    assert "hush" not in rig.logs()


async def all_is_right(scene: Scene, leaving: str) -> str:
    """An app leaves while there is no primary; in time all is right all the same. Tells when that was so."""
    killed_at, sent = time.monotonic(), len(scene.driver.sent)
    driven, app = scene.cars[scene.driven], scene.apps[scene.driven]
    scene.apps.pop(leaving).close()
    scene.counts[leaving] = (1, 0, 0)

    def passed() -> float:
        return time.monotonic() - killed_at

    await becomes(lambda: len(set(scene.driver.sent[sent:]) & set(app.heard)) >= SEVERAL, True, WITHIN - passed())
    heard_after = passed()
    for gateway in (0, 1):
        await becomes(lambda gateway=gateway: counted(scene, gateway), scene.counts, WITHIN - passed())
    counted_after = passed()
    app.send(b"C7,%b" % leaving.encode())
    await becomes(lambda: told(driven, b"C7"), b"C7,%b" % leaving.encode(), WITHIN - passed())
    await becomes(lambda: told(scene.cars[leaving]), b"Z0", WITHIN - passed())
    return f"heard after {heard_after:.1f} s, counted after {counted_after:.1f} s, all right after {passed():.1f} s"


async def counted(scene: Scene, gateway: int) -> dict[str, Counts] | int:
    """The counts of the vehicles, as a gateway lists them, or the status where it does not."""
    answer = await scene.asking.call("GET", "/api/vehicles", gateway)
    if answer.status_code == 401:
        await scene.asking.sign_in(gateway)
    if answer.status_code != 200:
        assert answer.status_code in (401, 503), answer.text
        return answer.status_code
    fields = ("v_net_connected", "v_apps_connected", "v_btcs_connected")
    return {one["id"]: tuple(one[field] for field in fields) for one in answer.json()}
