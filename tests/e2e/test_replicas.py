"""A car on one replica, its app on another, a batch client on a third and HTTP callers at two gateways: as if all were on one.

Then replicas die. The first replica writes late (`LATE`), so that what a car has said is known elsewhere before it is stored.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fixtures.cars import Peer
from fixtures.replicas import OWNER_PASSWORD, Rig
from fixtures.visitors import NEVER, Visitors, becomes, heard, told

A, B, C = range(3)
LATE = 0.5
"""Seconds between two writes of the first replica."""
CLEARED = 15.0
"""The most that anybody may count what a dead replica had connected."""
SOON = 5.0
MOST_OPEN = 256
OWNERS = {"demo": [f"V{number:02}" for number in range(60)], "other": ["OTHER1", "OTHER2"]}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(replicas=3, gateways=2, owners=OWNERS, start=False) as made:
        made.replicas[A].environment["OVMS_STATE_TICK"] = str(LATE)
        for program in made.programs:
            program.start(ready=False)
        for program in made.programs:
            program.await_ready()
        yield made


@pytest.fixture
async def visitors(rig: Rig) -> AsyncIterator[Visitors]:
    async with Visitors(rig) as everybody:
        yield everybody


@pytest.fixture
def vehicle() -> str:
    """One that no other test uses."""
    return OWNERS["demo"][next(_numbers)]


another = vehicle


async def scene(visitors: Visitors, vehicle: str) -> tuple[Peer, Peer, Peer]:
    """A car, an app and a batch client on three replicas, who have taken what greeted them and know of each other."""
    car, app, batch = await visitors.car(vehicle, A), await visitors.app(vehicle, B), await visitors.batch(vehicle, C)
    await becomes(
        lambda: (told(car), told(app), told(batch), told(app, b"T"), told(batch, b"T")),
        (b"Z1", b"Z1", b"Z1", NEVER, NEVER),
        SOON,
    )
    for peer in (car, app, batch):
        peer.heard.clear()
    return car, app, batch


# ---- who is there


async def test_everybody_knows_who_is_there(visitors: Visitors, vehicle: str) -> None:
    car, caller = await visitors.car(vehicle, A), await visitors.caller()
    await becomes(lambda: caller.counts(vehicle), (1, 0, 0), SOON)
    app = await visitors.app(vehicle, B)
    await app.hears(b"Z1", NEVER)
    batch = await visitors.batch(vehicle, C)
    await batch.hears(b"Z1", NEVER)
    await car.hears(b"Z0", b"Z1")
    second_app = await visitors.app(vehicle, C)
    await second_app.hears(b"Z1", NEVER)
    await car.hears(b"Z2")
    await caller.watch(vehicle, gateway=1)
    await car.hears(b"Z3")
    for gateway in (0, 1):
        assert await caller.counts(vehicle, gateway) == (1, 3, 1)

    app.close()
    await car.hears(b"Z2")
    assert (await caller.call("DELETE", f"/api/vehicle/{vehicle}", gateway=0)).status_code == 200
    await car.hears(b"Z1")
    car.close()
    await second_app.hears(b"Z0")
    await batch.hears(b"Z0")
    await becomes(lambda: caller.counts(vehicle, 1), (0, 1, 1), SOON)

    car = await visitors.car(vehicle, B)
    await car.hears(b"Z1")
    await second_app.hears(b"Z1")
    await batch.hears(b"Z1")


async def test_a_session_that_signs_out_watches_no_more(visitors: Visitors, vehicle: str) -> None:
    car, caller = await visitors.car(vehicle, A), await visitors.caller(gateway=0)
    await caller.watch(vehicle, gateway=1)
    await car.hears(b"Z0", b"Z1")
    assert (await caller.call("DELETE", "/api/cookie", gateway=1)).status_code == 200
    await car.hears(b"Z0")
    assert (await caller.call("GET", "/api/vehicles", gateway=0)).status_code == 401


async def test_a_token_that_is_revoked_is_refused_by_every_gateway(visitors: Visitors) -> None:
    caller, stranger = await visitors.caller(), await visitors.caller()
    await stranger.call("DELETE", "/api/cookie")
    made = (await caller.call("POST", "/api/token", data={"application": "a", "purpose": "p", "permit": "*"})).json()
    login = {"username": "demo", "password": made["token"]}
    assert [(await stranger.call("GET", "/api/vehicles", at, params=login)).status_code for at in (0, 1)] == [200, 200]
    assert (await caller.call("DELETE", f"/api/token/{made['token']}", gateway=0)).status_code == 200
    assert [(await stranger.call("GET", "/api/vehicles", at, params=login)).status_code for at in (0, 1)] == [401, 401]


# ---- what a car says


async def test_watchers_elsewhere_hear_all_that_a_car_says_in_its_order(visitors: Visitors, vehicle: str) -> None:
    car, app, batch = await scene(visitors, vehicle)
    expected: list[bytes] = []
    for number in range(100):
        car.send(b"S%d,K" % number, b"PIIt is %d" % number, b"D%d" % number, b"c77,0,%d" % number, b"F%d" % number)
        expected += [b"S%d,K" % number, b"T0", b"PIIt is %d" % number, b"D%d" % number, b"T0", b"c77,0,%d" % number]
        expected += [b"F%d" % number, b"f*", b"T0"]
    await app.hears(*expected)
    await batch.hears(*expected)


async def test_what_is_not_stored_yet_greets_an_app_elsewhere(visitors: Visitors, vehicle: str) -> None:
    car, caller = await visitors.car(vehicle, A), await visitors.caller()
    await becomes(lambda: caller.counts(vehicle), (1, 0, 0), SOON)
    for number in range(10):
        await app_is_greeted_with_the_newest(visitors, car, vehicle, number)
        # Not in step with the ticks of the first replica.
        await asyncio.sleep(LATE * 0.3)


async def test_what_is_not_stored_yet_greets_an_app_of_a_car_that_has_just_come(visitors: Visitors, vehicle: str) -> None:
    for number in range(10):
        car = await visitors.car(vehicle, A)
        await app_is_greeted_with_the_newest(visitors, car, vehicle, number)
        car.close()


async def app_is_greeted_with_the_newest(visitors: Visitors, car: Peer, vehicle: str, number: int) -> None:
    car.send(b"S%d,K" % number, b"D%d" % number)
    await car.drain()
    app = await visitors.app(vehicle, B + number % 2)
    await becomes(lambda: told(app, b"T") is not None, True, SOON)
    assert app.heard[:3] == [b"Z1", b"S%d,K" % number, b"D%d" % number]
    assert int(app.heard[3][1:]) <= 1
    app.close()


async def test_what_is_not_stored_yet_greets_an_app_when_the_car_has_gone(visitors: Visitors, vehicle: str) -> None:
    car, witness = await visitors.car(vehicle, A), await visitors.app(vehicle, B)
    await becomes(lambda: told(witness), b"Z1", SOON)
    car.send(b"S1,K", b"S2,K")
    await witness.until_hears(b"S2,K")
    car.close()
    await witness.until_hears(b"Z0")
    app = await visitors.app(vehicle, C)
    await becomes(lambda: told(app, b"T") is not None, True, SOON)
    assert heard(app, b"Z", b"S") == [b"Z0", b"S2,K"]


async def test_paranoid_mode_reaches_apps_elsewhere(visitors: Visitors, vehicle: str) -> None:
    car, app, batch = await scene(visitors, vehicle)
    car.send(b"ETsecret1", b"EMDZG9vcnM=", b"EMSc3RhdGU=")
    for watcher in (app, batch):
        await watcher.hears(b"ETsecret1", b"EMDZG9vcnM=", b"T0", b"EMSc3RhdGU=", b"T0")
    late = await visitors.app(vehicle, C)
    await late.hears(b"Z1", b"ETsecret1", b"EMSc3RhdGU=", b"EMDZG9vcnM=", b"T0")

    app.send(b"EMCY29tbWFuZA==")
    await car.until_hears(b"EMCY29tbWFuZA==")
    car.send(b"EMcYW5zd2Vy", b"EMcdG8gYWxs")
    await app.hears(b"EMcYW5zd2Vy", b"EMcdG8gYWxs")
    await batch.hears(b"EMcdG8gYWxs")
    await late.hears(b"EMcdG8gYWxs")

    car.send(b"ETsecret2")
    await app.hears(b"ETsecret2")
    latest = await visitors.app(vehicle, C)
    await becomes(lambda: told(latest, b"T") is not None, True, SOON)
    assert heard(latest, b"E", b"S", b"D") == []


# ---- what apps say


async def test_a_command_is_answered_to_its_asker_alone(visitors: Visitors, vehicle: str) -> None:
    car, app, batch = await scene(visitors, vehicle)
    beside = await visitors.app(vehicle, A)
    await beside.until_hears(NEVER)
    await car.until_hears(b"Z2")
    app.send(b"C20,1234")
    await car.hears(b"C20,1234")
    batch.send(b"C7,stat")
    await car.hears(b"C7,stat")
    car.send(b"S1", b"c7,0,all is well", b"S2", b"c20,0", b"S3", b"c20,0,to all")
    await app.hears(b"S1", b"T0", b"S2", b"T0", b"c20,0", b"S3", b"T0", b"c20,0,to all")
    await batch.hears(b"S1", b"T0", b"c7,0,all is well", b"S2", b"T0", b"S3", b"T0", b"c20,0,to all")
    await beside.hears(b"S1", b"T0", b"S2", b"T0", b"S3", b"T0", b"c20,0,to all")


async def test_other_messages_of_an_app_reach_the_car_as_they_are(visitors: Visitors, vehicle: str) -> None:
    car, app, _ = await scene(visitors, vehicle)
    sent = [b"S%d" % number for number in range(50)] + [b"x\xff with, commas and  spaces ", b"Dlast"]
    app.send(*sent)
    await car.hears(*sent)


async def test_many_answers_go_to_their_asker_alone(visitors: Visitors, vehicle: str) -> None:
    car, app, batch = await scene(visitors, vehicle)
    app.send(b"C1")
    await car.hears(b"C1")
    batch.send(b"C3")
    await car.hears(b"C3")
    features = [b"c1,0,%d,3,f%d" % (index, index) for index in range(3)]
    parameters = [b"c3,0,%d,2,p%d" % (index, index) for index in range(2)]
    car.send(features[0], parameters[0], *features[1:], *parameters[1:], b"c1,0,0,1,to all")
    await app.hears(*features, b"c1,0,0,1,to all")
    await batch.hears(*parameters, b"c1,0,0,1,to all")


async def test_a_command_without_a_car_is_answered_here(visitors: Visitors, vehicle: str) -> None:
    app = await visitors.app(vehicle, B)
    await app.hears(b"Z0", NEVER)
    app.send(b"C20,1234")
    await app.hears(b"c20,1,Vehicle is not connected")
    car = await visitors.car(vehicle, A)
    await app.hears(b"Z1")
    app.send(b"C20,1234")
    await car.until_hears(b"C20,1234")
    car.close()
    await app.hears(b"Z0")
    app.send(b"C21")
    await app.hears(b"c21,1,Vehicle is not connected")


async def test_commands_of_two_apps_elsewhere_are_delivered_once_each(visitors: Visitors, vehicle: str) -> None:
    car, app, _ = await scene(visitors, vehicle)
    other = await visitors.app(vehicle, C)
    await other.until_hears(NEVER)
    await car.until_hears(b"Z2")
    for number in range(MOST_OPEN // 2):
        app.send(b"C7,app %d" % number)
        other.send(b"C7,other %d" % number)
        await asyncio.sleep(0)
    asked = await car.take(MOST_OPEN)
    for name in (b"app", b"other"):
        assert [message for message in asked if name in message] == [b"C7,%b %d" % (name, n) for n in range(MOST_OPEN // 2)]
    # None of them says whose it is: the car answers in the order in which it was asked.
    car.send(*(b"c7,0,%b" % message[3:] for message in asked), b"c7,0,to all")
    await app.hears(*(b"c7,0,app %d" % number for number in range(MOST_OPEN // 2)), b"c7,0,to all")
    await other.hears(*(b"c7,0,other %d" % number for number in range(MOST_OPEN // 2)), b"c7,0,to all")
    await car.drain()
    assert car.heard == []


async def test_an_answer_to_an_app_that_has_left_goes_nowhere(visitors: Visitors, vehicle: str) -> None:
    car, app, batch = await scene(visitors, vehicle)
    app.send(b"C20,1234")
    await car.hears(b"C20,1234")
    app.close()
    await car.hears(b"Z0")
    car.send(b"c20,0,for the one who left", b"c20,0,to all")
    await batch.hears(b"c20,0,to all")


async def test_users_who_sign_in_with_their_name_see_each_other(visitors: Visitors, vehicle: str) -> None:
    """Scheme 1: lines in clear, and the id of the vehicle as it is stored."""
    car = await visitors.car(vehicle, A)
    reader, writer = await asyncio.open_connection("127.0.0.1", visitors.rig.replicas[B].port)
    writer.write(f"MP-A 1 demo {OWNER_PASSWORD} {vehicle.lower()}\r\n".encode())
    async with asyncio.timeout(SOON):
        assert (await reader.readline()).startswith(f"MP-S 1 demo {vehicle} ".encode())
        greeting = await reader.readuntil(NEVER + b"\r\n")
        await car.until_hears(b"Z1")
        car.send(b"S1,K")
        writer.write(b"C20,1\r\n")
        await car.until_hears(b"C20,1")
        car.send(b"c20,0")
        said = await reader.readuntil(b"c20,0\r\n")
    assert (greeting + said).replace(b"Z0\r\n", b"") == b"Z1\r\n" + NEVER + b"\r\nS1,K\r\nT0\r\nc20,0\r\n"
    writer.close()


# ---- groups


async def test_groups_meet_across_replicas_and_owners(visitors: Visitors, vehicle: str, rig: Rig) -> None:
    group = vehicle.encode()
    car, second_car = await visitors.car(vehicle, A), await visitors.car("OTHER1", A)
    app = await visitors.app("OTHER2", B)
    await app.until_hears(NEVER)
    app.send(b"G%b,1" % group.lower())
    await app.drain()
    first, newest, others = (
        b"g%b,%b,%b" % place for place in ((group, group, b"1"), (group, group, b"2"), (b"OTHER1", group, b"3"))
    )
    car.send(b"g%b,1" % group)
    await app.until_hears(first)
    car.send(b"g%b,2" % group.lower())
    # The first came twice where it was sent while the app asked for it.
    assert await app.until_hears(newest) in ([], [first])
    second_car.send(b"g%b,3" % group)
    await app.hears(others)

    late, batch = await visitors.app("OTHER2", C), await visitors.batch("OTHER2", C)
    for watcher in (late, batch):
        await watcher.until_hears(NEVER)
        watcher.send(b"G%b,1" % group)
        assert set(await watcher.take(2)) == {newest, others}

    car.close()
    latest = await visitors.app("OTHER2", B)
    await latest.until_hears(NEVER)
    caller = await visitors.caller()
    await becomes(lambda: caller.counts(vehicle), (0, 0, 0), SOON)
    latest.send(b"G%b,1" % group)
    await latest.hears(others)
    second_car.send(b"g%b,4" % group)
    for watcher in (app, late, latest):
        await watcher.hears(b"gOTHER1,%b,4" % group)


# ---- one owner of a car


async def test_a_login_elsewhere_ends_the_former_session(visitors: Visitors, vehicle: str) -> None:
    former, app, batch = await scene(visitors, vehicle)
    former.send(b"S1,former")
    await app.hears(b"S1,former", b"T0")
    newer = await visitors.car(vehicle, C)
    async with asyncio.timeout(1.0):
        await former.closed()
    await app.hears(b"Z0", b"Z1")
    await batch.until_hears(b"Z1")
    await becomes(lambda: told(newer), b"Z1", SOON)
    app.send(b"C5")
    await newer.until_hears(b"C5")
    newer.send(b"c5,0")
    await app.hears(b"c5,0")


async def test_what_a_former_owner_writes_late_is_refused(visitors: Visitors, vehicle: str, another: str, rig: Rig) -> None:
    former, beside, app = await visitors.car(vehicle, A), await visitors.car(another, A), await visitors.app(vehicle, B)
    await becomes(lambda: told(app), b"Z1", SOON)
    former.send(b"S1,former", b"D1,former", b"h1,0,*-LOG-Test,1,86400,former")
    beside.send(b"S1,beside")
    await former.drain()
    await beside.drain()
    rig.replicas[A].pause()
    try:
        newer = await visitors.car(vehicle, C)
        newer.send(b"S2,newer")
        await becomes(lambda: visitors.state(vehicle), b"2,newer", SOON)
        await app.until_hears(b"S2,newer")
    finally:
        rig.replicas[A].resume()
    async with asyncio.timeout(1.0 + LATE):
        await former.closed()
    await becomes(lambda: visitors.state(another), b"1,beside", SOON)
    assert await visitors.state(vehicle) == b"2,newer"
    await becomes(lambda: visitors.records(vehicle), [1], SOON)
    newer.send(b"S3,newer")
    await app.until_hears(b"S3,newer")
    await becomes(lambda: visitors.state(vehicle), b"3,newer", SOON)


async def test_two_modules_with_one_id_are_slowed_and_never_closed_before_they_are_let_in(
    visitors: Visitors, vehicle: str
) -> None:
    seconds, logins = 2.0, 0
    ends_at = asyncio.get_running_loop().time() + seconds

    async def module(replicas: Iterator[int]) -> None:
        """Come back as soon as it is thrown out."""
        nonlocal logins
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at):
                while True:
                    car = await visitors.car(vehicle, next(replicas))
                    logins += 1
                    await car.closed()

    await asyncio.gather(module(itertools.cycle((A, B))), module(itertools.cycle((C, A))))
    # Two that are not slowed throw each other out some hundred times.
    assert 2 < logins < 12
    await visitors.car(vehicle, B)


# ---- a replica dies


class Logger:
    """A car that sends numbered records, and sends again what was not acknowledged, as the firmware does."""

    def __init__(self, vehicle: str) -> None:
        self.vehicle = vehicle
        self.made_at: dict[int, float] = {}
        self.acknowledged: set[int] = set()
        self.peer: Peer

    def log(self, peer: Peer, *numbers: int) -> None:
        """Make records, and send all that wait."""
        self.peer = peer
        self.made_at |= dict.fromkeys(numbers, time.monotonic())
        for number in sorted(self.made_at.keys() - self.acknowledged):
            age = int(time.monotonic() - self.made_at[number])
            peer.send(b"h%d,-%d,*-LOG-Test,%d,86400,data" % (number, age, number))

    def listen(self) -> set[int]:
        self.acknowledged |= {int(message[1:]) for message in heard(self.peer, b"h")}
        return self.acknowledged


async def test_a_replica_is_killed(visitors: Visitors, rig: Rig) -> None:
    stays_away, moves, lives, grouped = (OWNERS["demo"][next(_numbers)] for _ in range(4))
    away, moving, living = await visitors.car(stays_away, A), await visitors.car(moves, A), await visitors.car(lives, B)
    in_group = await visitors.car(grouped, A)
    apps = [await visitors.app(name, B) for name in (stays_away, moves)]
    app_of_the_living, app_that_dies = await visitors.app(lives, C), await visitors.app(lives, A)
    caller, listener = await visitors.caller(), await visitors.listener(stays_away)
    await caller.watch(stays_away)
    for name, counts in ((stays_away, (1, 2, 0)), (moves, (1, 1, 0)), (lives, (1, 2, 0)), (grouped, (1, 0, 0))):
        await becomes(lambda name=name: caller.counts(name), counts, SOON)
    await becomes(lambda: [told(peer) for peer in (*apps, app_of_the_living, living)], [b"Z1", b"Z1", b"Z1", b"Z2"], SOON)
    in_group.send(b"gKILLED,1")
    await in_group.drain()
    logger = Logger(moves)
    logger.log(moving, *range(50))
    await becomes(lambda: len(logger.listen()) > 0, True, SOON)
    logger.log(moving, *range(50, 100))
    moving.send(b"S1,before")
    await apps[1].until_hears(b"S1,before")
    apps[1].heard.clear()

    await rig.aside(rig.replicas[A].kill)
    killed_at = time.monotonic()
    try:
        await moving.closed()
        logger.listen()
        back = await visitors.car(moves, C)
        await back.until_hears(b"Z1")
        logger.log(back, *range(100, 110))
        back.send(b"S2,after")
        await apps[1].until_hears(b"S2,after")
        assert told(apps[1]) in (b"Z1", None)
        await becomes(logger.listen, set(range(110)), SOON)
        assert await visitors.records(moves) == list(range(110))

        def left() -> float:
            return killed_at + CLEARED - time.monotonic()

        await becomes(lambda: told(apps[0]), b"Z0", left())
        await becomes(lambda: listener.newest("car", "apps"), (0, 2), left())
        await becomes(lambda: told(living), b"Z1", left())
        for name, counts in ((stays_away, (0, 2, 0)), (moves, (1, 1, 0)), (lives, (1, 1, 0)), (grouped, (0, 0, 0))):
            await becomes(lambda name=name: caller.counts(name), counts, left())
        # Nobody takes the car that came back for dead with its former replica.
        apps[1].send(b"C5")
        await back.until_hears(b"C5")
        living.send(b"gKILLED,2")
        app_of_the_living.send(b"GKILLED,1")
        await app_of_the_living.until_hears(b"g%b,KILLED,2" % lives.encode())
        assert not [message for message in heard(app_of_the_living, b"g") if grouped.encode() in message]
        assert [peer.is_closed for peer in (away, app_that_dies, back, living, *apps)] == [True] * 2 + [False] * 4
    finally:
        await rig.aside(rig.replicas[A].start)

    # The one that is back is a replica like any other.
    car, app = await visitors.car(stays_away, A), apps[0]
    await app.until_hears(b"Z1")
    await car.until_hears(b"Z2")


async def test_a_replica_hangs_for_longer_than_its_lease(visitors: Visitors, rig: Rig) -> None:
    """It is taken for dead, and goes on as if it had just come: its cars stay, but for one that is elsewhere now."""
    stays, moves = (OWNERS["demo"][next(_numbers)] for _ in range(2))
    staying, former = await visitors.car(stays, A), await visitors.car(moves, A)
    apps = [await visitors.app(name, B) for name in (stays, moves)]
    app_beside = await visitors.app(stays, A)
    caller = await visitors.caller()
    await becomes(lambda: (told(staying), *map(told, apps)), (b"Z2", b"Z1", b"Z1"), SOON)
    rig.replicas[A].pause()
    try:
        moved = await visitors.car(moves, C)
        await becomes(lambda: told(apps[0]), b"Z0", CLEARED)
        assert await caller.counts(stays) == (0, 1, 0)
        staying.send(b"S1,while it hung")
        apps[0].send(b"C9,to nobody")
        await apps[0].until_hears(b"c9,1,Vehicle is not connected")
    finally:
        rig.replicas[A].resume()
    async with asyncio.timeout(SOON):
        await former.closed()
    await becomes(lambda: (told(staying), *map(told, apps)), (b"Z2", b"Z1", b"Z1"), SOON)
    await becomes(lambda: caller.counts(stays), (1, 2, 0), SOON)
    assert await caller.counts(moves) == (1, 1, 0)
    await becomes(lambda: visitors.state(stays), b"1,while it hung", SOON)
    for car, app, number in ((staying, apps[0], 1), (moved, apps[1], 2), (staying, app_beside, 3)):
        car.send(b"D%d" % number)
        await app.until_hears(b"D%d" % number)
        app.send(b"C%d" % number)
        await car.until_hears(b"C%d" % number)
        car.send(b"c%d,0" % number)
        await app.until_hears(b"c%d,0" % number)
    assert not [message for message in staying.heard if message.startswith(b"C9")]


async def test_a_gateway_is_killed(visitors: Visitors, rig: Rig, vehicle: str) -> None:
    car, caller = await visitors.car(vehicle, B), await visitors.caller(gateway=0)
    await caller.watch(vehicle, gateway=0)
    await car.hears(b"Z0", b"Z1")
    await rig.aside(rig.gateways[0].kill)
    try:
        car.send(b"S75,K")
        await becomes(lambda: visitors.state(vehicle), b"75,K", SOON)
        answer = await caller.call("GET", f"/api/status/{vehicle}", gateway=1)
        assert (answer.status_code, answer.json()["soc"]) == (200, "75")
        assert await caller.counts(vehicle, gateway=1) == (1, 1, 0)
        await car.drain()
        assert car.heard == [], "the session still watches"
        assert (await caller.call("DELETE", f"/api/vehicle/{vehicle}", gateway=1)).status_code == 200
        await car.hears(b"Z0")
    finally:
        await rig.aside(rig.gateways[0].start)
    assert await caller.counts(vehicle, gateway=0) == (1, 0, 0)
