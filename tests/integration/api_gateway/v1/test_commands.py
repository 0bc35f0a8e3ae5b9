"""Commands as resources: gateways, a real car-protocol, and a car."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis.asyncio

from api_gateway.commands.states import TRANSITIONS, CommandState, Input, origins, target
from api_gateway.settings import Settings
from fixtures.bodies import kind_of
from fixtures.cars import CarService, Peer
from fixtures.gateway import Gateway, running, send_message, token_header
from fixtures.lossy_redis import LossyRedis
from fixtures.names import name_of
from fixtures.processes import MakeGateway
from fixtures.waiting import until_told
from ovms.bus.channels import peers_channel, replica_channel
from ovms.bus.interface import COMMANDS
from ovms.bus.presence import Presence
from ovms.bus.replicas import ToCar, read_word, to_peer
from ovms.db import commands as rows
from ovms.db.commands import MOST_OPEN, End

COMMANDS_OF_CAR = "/api/v1/vehicles/CAR/commands"
PIN = "918273"
LOCK = {"kind": "lock", "arguments": {"pin": PIN}}
WAKE = {"kind": "wake_up"}


@asynccontextmanager
async def second_gateway(gateway: Gateway, settings: Settings, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of another gateway, signed in as the owner."""
    async with running(settings.model_copy(update=changed), gateway.log) as port, gateway.client() as stranger:
        login = {"username": "demo", "password": "secret"}
        cookies = (await stranger.get(f"http://127.0.0.1:{port}/api/cookie", params=login)).cookies
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", cookies=cookies) as client:
            yield client


async def state_of(client: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    read = await client.get(answer.headers["location"])
    assert read.status_code == 200
    told: dict[str, Any] = read.json()
    return told


async def until_state(gateway: Gateway, answer: httpx.Response, state: str, seconds: float = 10) -> None:
    question = "SELECT state = $2 FROM commands WHERE id = $1"
    await until_told(gateway.pool, question, answer.json()["id"], state, seconds=seconds)


def is_problem(answer: httpx.Response, status: int, name: str) -> bool:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["type"] == f"/api/v1/problems/{name}"
    return True


@asynccontextmanager
async def published(client: redis.asyncio.Redis) -> AsyncIterator[Callable[[], Any]]:
    """Reads the next body on the vehicle's channel, which must be one that is declared."""
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(COMMANDS.filled_in("CAR", "5"))
        assert await pubsub.get_message(timeout=10)

        async def read() -> Any:
            event = await pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
            assert event is not None
            assert kind_of(COMMANDS, event["data"]) == "command"
            return json.loads(event["data"])

        yield read


async def until_heard_by(client: redis.asyncio.Redis, channel: str, count: int) -> None:
    """Wait until so many hear a channel."""
    async with asyncio.timeout(20):
        while dict(await client.pubsub_numsub(channel))[channel.encode()] < count:  # noqa: ASYNC110  Redis says nothing of it
            await asyncio.sleep(0.01)


# ---- one command


async def test_a_command_from_its_beginning_to_its_end(gateway: Gateway, car: Peer, owner: httpx.AsyncClient) -> None:
    async with published(gateway.redis) as read:
        asked = await owner.post("/api/v1/vehicles/car/commands", json=LOCK)
        assert (asked.status_code, asked.headers["content-type"]) == (202, "application/json")
        assert asked.headers["location"] == f"{COMMANDS_OF_CAR}/{asked.json()['id']}"
        assert "preference-applied" not in asked.headers
        await car.until_hears(f"C20,{PIN}".encode())
        sent = await state_of(owner, asked)
        assert (sent["state"], sent["result"], sent["arguments"], sent["actor"]) == ("sent", None, {}, "demo")
        sealed = await gateway.pool.fetchval("SELECT message FROM commands")
        assert sealed is not None
        assert PIN.encode() not in sealed
        car.send(b"c20,0,Car locked")
        await until_state(gateway, asked, "succeeded")

        done = await state_of(owner, asked)
        assert (done["state"], done["result"], done["text"], done["kind"]) == ("succeeded", 0, "Car locked", "lock")
        assert done["created_at"] <= done["sent_at"] <= done["finished_at"] <= done["expires_at"]
        told = [await read() for _ in range(3)]
        assert [(one["state"], one["revision"]) for one in told] == [("queued", 1), ("sent", 2), ("succeeded", 3)]
        assert told[-1] == done
    assert await gateway.pool.fetchval("SELECT message IS NULL FROM commands")
    assert (await owner.get(COMMANDS_OF_CAR)).json() == {"items": [done], "next": None}
    trail = await gateway.pool.fetch("SELECT actor, means, action, vehicle_id, detail FROM audit")
    assert [tuple(row)[:4] for row in trail] == [("demo", "password", "command", "CAR")]
    assert json.loads(trail[0]["detail"]) == {"kind": "lock", "number": 20, "state": "succeeded", "result": 0}
    assert PIN not in gateway.log.getvalue().decode() + repr(trail) + repr(await gateway.pool.fetch("SELECT * FROM commands"))


@pytest.mark.parametrize(
    ("said", "state", "result", "text"),
    [
        (b"c20,1,Wrong\rPIN\x00", "failed", 1, "Wrong\nPIN\ufffd"),
        (b"c20,2", "unsupported", 2, ""),
        (b"c20,3,Later", "unsupported", 3, "Later"),
        (b"c20,7,Odd", "failed", 7, "Odd"),
        (b"EMcYWJj", "unknown", None, None),
    ],
)
async def test_what_the_car_says(
    car: Peer, owner: httpx.AsyncClient, said: bytes, state: str, result: int | None, text: str | None
) -> None:
    asking = asyncio.ensure_future(owner.post(COMMANDS_OF_CAR, json={"kind": "lock"}, headers={"Prefer": "wait=20"}))
    await car.until_hears(b"C20,")
    car.send(said)
    answer = await asking
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=20")
    assert "location" in answer.headers
    done = answer.json()
    assert (done["state"], done["result"], done["text"]) == (state, result, text)


async def test_a_wait_ends(gateway: Gateway, car: Peer, owner: httpx.AsyncClient) -> None:
    answer = await owner.post(COMMANDS_OF_CAR, json=WAKE, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")
    await car.until_hears(b"C18")
    answer = await owner.post(COMMANDS_OF_CAR, json=WAKE, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


# ---- many


async def test_a_car_is_told_one_after_the_other_by_whichever_gateway(
    gateway: Gateway, gateway_settings: Settings, car: Peer, owner: httpx.AsyncClient
) -> None:
    async with second_gateway(gateway, gateway_settings) as other:
        asked = []
        for place, client in enumerate((owner, other, owner, other)):
            request = {"kind": "text", "arguments": {"command": str(place)}}
            asked.append(await client.post(COMMANDS_OF_CAR, json=request))
        for place in range(4):
            assert await car.until_hears(b"C7,%d" % place) == []
            assert await car.drain() == []
            car.send(b"c7,0,%d" % place)
        await until_told(gateway.pool, "SELECT count(*) = 4 FROM commands WHERE state = 'succeeded'")
        assert [(await state_of(other, answer))["text"] for answer in asked] == ["0", "1", "2", "3"]

        first = (await owner.get(COMMANDS_OF_CAR, params={"limit": 3})).json()
        second = (await owner.get(COMMANDS_OF_CAR, params={"limit": 3, "before": first["next"]})).json()
        listed = [one["text"] for one in (*first["items"], *second["items"])]
        assert (listed, second["next"]) == (["3", "2", "1", "0"], None)


async def test_an_answer_to_a_call_of_the_older_api_is_waited_for(car: Peer, owner: httpx.AsyncClient) -> None:
    older = asyncio.ensure_future(owner.put("/api/lock/CAR"))
    await car.until_hears(b"C20,")
    asked = await owner.post(COMMANDS_OF_CAR, json=WAKE)
    assert await car.drain() == []
    car.send(b"c20,0,Locked")
    assert (await older).json()["text"] == "Locked"
    await car.until_hears(b"C18")
    car.send(b"c18,0")
    listed = (await owner.get(COMMANDS_OF_CAR)).json()["items"]
    assert [one["kind"] for one in listed] == ["wake_up", "lock"]
    assert (await state_of(owner, asked))["id"] == listed[0]["id"]


async def test_one_key_is_one_command_however_many_ask_at_once(
    gateway: Gateway, gateway_settings: Settings, car: Peer, owner: httpx.AsyncClient
) -> None:
    async with second_gateway(gateway, gateway_settings) as other:
        key = {"Idempotency-Key": "one"}
        answers = await asyncio.gather(*(client.post(COMMANDS_OF_CAR, json=LOCK, headers=key) for client in (owner, other) * 6))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.headers["location"] for answer in answers}) == 1
        await car.until_hears(f"C20,{PIN}".encode())
        car.send(b"c20,0,Once")
        await until_state(gateway, answers[0], "succeeded")
        assert await car.drain() == []

        again = await other.post(COMMANDS_OF_CAR, json=LOCK, headers=key)
        assert (again.status_code, again.json()["text"]) == (200, "Once")
        for another in (WAKE, LOCK | {"ttl": 61}, {"kind": "lock", "arguments": {"pin": "1"}}):
            assert is_problem(await other.post(COMMANDS_OF_CAR, json=another, headers=key), 409, "idempotency-key-reused")
        elsewhere = await owner.post("/api/v1/vehicles/DEMO/commands", json={**WAKE, "queue": True}, headers=key)
        assert (elsewhere.status_code, elsewhere.json()["kind"]) == (202, "wake_up")

        await gateway.pool.execute("UPDATE commands SET created_at = created_at - interval '25 hours'")
        assert (await other.post(COMMANDS_OF_CAR, json=WAKE, headers=key)).json()["kind"] == "wake_up"
        await car.until_hears(b"C18")


async def test_of_many_who_would_send_one_does(gateway: Gateway, owner: httpx.AsyncClient) -> None:
    """And what is next is not sent while it is on its way."""
    for _ in range(2):
        asked = await owner.post("/api/v1/vehicles/DEMO/commands", json={**WAKE, "queue": True})
    [vehicle] = {row[0] for row in await gateway.pool.fetch("SELECT vehicle FROM commands")}
    takes = [rows.take_next(gateway.pool, vehicle, "a gateway", ["queued"], "sent", 60) for _ in range(20)]
    taken = [one for one in await asyncio.gather(*takes) if one is not None]
    assert len(taken) == 1
    first = await gateway.pool.fetchval("SELECT id FROM commands ORDER BY place LIMIT 1")
    assert taken[0].command.id == first
    assert (await state_of(owner, asked))["state"] in ("queued", "sent")


async def test_a_command_is_sent_again_where_the_session_of_the_car_has_changed(
    gateway: Gateway, owner: httpx.AsyncClient
) -> None:
    """A replica answers that the car is not connected, as where the car has claimed a session and is not in its room yet."""
    presence, vehicle = Presence(gateway.redis), await name_of(gateway.pool, "DEMO")
    async with gateway.redis.pubsub() as pubsub:
        await pubsub.subscribe(replica_channel("replica"))
        assert await pubsub.get_message(timeout=10)
        await presence.begin_replica("replica")
        await presence.claim("replica", [(vehicle, 0)])
        request = owner.post("/api/v1/vehicles/DEMO/commands", json=WAKE, headers={"Prefer": "wait=20"})
        asking = asyncio.ensure_future(request)
        for reply in (b"c18,1,Vehicle is not connected", b"c18,0,Awake"):
            event = await pubsub.get_message(ignore_subscribe_messages=True, timeout=10)
            assert event is not None
            question = read_word(event["data"])
            assert isinstance(question, ToCar)
            await gateway.redis.publish(replica_channel(question.sender.replica), to_peer(question.sender.peer, reply))
        done = (await asking).json()
    assert (done["state"], done["text"]) == ("succeeded", "Awake")


# ---- cars that are not there


async def test_a_command_for_an_absent_car(
    gateway: Gateway, gateway_settings: Settings, service: CarService, owner: httpx.AsyncClient
) -> None:
    """Two gateways are woken when it comes."""
    assert is_problem(await owner.post(COMMANDS_OF_CAR, json=WAKE), 409, "vehicle-not-connected")
    assert await gateway.pool.fetchval("SELECT count(*) = 0 FROM commands")
    waiting = [await owner.post(COMMANDS_OF_CAR, json={**one, "queue": True}) for one in (LOCK, WAKE)]
    assert {answer.status_code for answer in waiting} == {202}
    # Nothing that does not wait is held up by what does.
    assert (await owner.put("/api/lock/CAR")).status_code == 503

    async with second_gateway(gateway, gateway_settings):
        await until_heard_by(gateway.redis, peers_channel(await name_of(gateway.pool, "CAR")), 2)
        car = await service.car("CAR")
        await car.until_hears(f"C20,{PIN}".encode())
        assert not any(heard.startswith(b"C") for heard in await car.drain())
        car.send(b"c20,0")
        await car.until_hears(b"C18")
        car.send(b"c18,0")
        for answer in waiting:
            await until_state(gateway, answer, "succeeded")
        assert not any(heard.startswith(b"C") for heard in await car.drain())


async def test_what_waits_expires_or_is_cancelled(
    gateway: Gateway, gateway_settings: Settings, service: CarService, owner: httpx.AsyncClient
) -> None:
    late, cancelled = [await owner.post(COMMANDS_OF_CAR, json={**LOCK, "queue": True}) for _ in range(2)]
    await gateway.pool.execute("UPDATE commands SET expires_at = now() WHERE id = $1", late.json()["id"])
    await until_state(gateway, late, "expired")

    ended = await owner.delete(cancelled.headers["location"])
    assert (ended.status_code, ended.json()["state"], ended.json()["text"]) == (200, "cancelled", None)
    for answer in (late, cancelled):
        assert is_problem(await owner.delete(answer.headers["location"]), 409, "command-not-queued")
    car = await service.car("CAR")
    assert not any(heard.startswith(b"C") for heard in await car.drain())
    details = [json.loads(row[0]) for row in await gateway.pool.fetch("SELECT detail FROM audit ORDER BY id")]
    assert [(one["state"], one["result"]) for one in details] == [("expired", None), ("cancelled", None)]
    assert await gateway.pool.fetchval("SELECT bool_and(message IS NULL) FROM commands")

    sent = await owner.post(COMMANDS_OF_CAR, json=WAKE)
    await car.until_hears(b"C18")
    assert is_problem(await owner.delete(sent.headers["location"]), 409, "command-not-queued")


async def test_a_car_that_goes_before_its_turn(gateway: Gateway, gateway_settings: Settings, car: Peer) -> None:
    """What was sent is unknown in the end, what was not and does not wait has failed, what waits waits."""
    async with second_gateway(gateway, gateway_settings, timeout_answer=1.0) as owner:
        sent = await owner.post(COMMANDS_OF_CAR, json=LOCK)
        await car.until_hears(f"C20,{PIN}".encode())
        hasty = await owner.post(COMMANDS_OF_CAR, json=WAKE)
        waiting = await owner.post(COMMANDS_OF_CAR, json={**WAKE, "queue": True})
        car.close()
        await car.closed()
        await until_state(gateway, sent, "unknown")
        await until_state(gateway, hasty, "failed")
        done = await state_of(owner, hasty)
        assert (done["result"], done["text"], done["sent_at"]) == (None, "Vehicle is not connected", None)
        assert (await state_of(owner, waiting))["state"] == "queued"


async def test_a_silent_car(gateway: Gateway, gateway_settings: Settings, car: Peer) -> None:
    async with second_gateway(gateway, gateway_settings, timeout_answer=0.2) as hasty:
        answer = await hasty.post(COMMANDS_OF_CAR, json=LOCK, headers={"Prefer": "wait=20"})
        assert (answer.status_code, answer.json()["state"], answer.json()["result"]) == (200, "unknown", None)
        await car.until_hears(f"C20,{PIN}".encode())
        # Its late answer is for nobody, and the next command is not taken for it.
        car.send(b"c20,0,Late")
        following = asyncio.ensure_future(hasty.post(COMMANDS_OF_CAR, json=WAKE, headers={"Prefer": "wait=20"}))
        await car.until_hears(b"C18")
        car.send(b"c18,0")
        assert (await following).json()["state"] == "succeeded"


# ---- who may, and what is refused


async def test_what_is_refused(gateway: Gateway, car: Peer, owner: httpx.AsyncClient) -> None:
    post = owner.post
    assert is_problem(
        await post(COMMANDS_OF_CAR, json={"kind": "lock", "arguments": {"pin": f"{PIN}x"}}), 422, "invalid-request"
    )
    assert is_problem(await post(COMMANDS_OF_CAR, content=json.dumps(WAKE)), 415, "not-json")
    assert is_problem(await post(COMMANDS_OF_CAR, json=WAKE, headers={"Idempotency-Key": "a b"}), 422, "invalid-request")
    assert is_problem(await post("/api/v1/vehicles/NONE/commands", json=WAKE), 404, "vehicle-unknown")
    for wrong in ("x", "0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a"):
        assert is_problem(await owner.get(f"{COMMANDS_OF_CAR}/{wrong}"), 404, "command-unknown")
    for query in ({"limit": 0}, {"limit": 201}, {"before": "x"}):
        assert is_problem(await owner.get(COMMANDS_OF_CAR, params=query), 422, "invalid-request")
    await send_message(gateway.pool, "CAR", "Sabc", paranoid_token="token")
    assert is_problem(await post(COMMANDS_OF_CAR, json=WAKE), 502, "paranoid-vehicle")
    assert await car.drain() == []
    assert await gateway.pool.fetchval("SELECT count(*) = 0 FROM commands")


async def test_a_queue_is_bounded(gateway: Gateway, service: CarService, owner: httpx.AsyncClient) -> None:
    for _ in range(MOST_OPEN):
        assert (await owner.post(COMMANDS_OF_CAR, json={**WAKE, "queue": True})).status_code == 202
    refused = await owner.post(COMMANDS_OF_CAR, json={**WAKE, "queue": True})
    assert is_problem(refused, 429, "command-queue-full")
    assert int(refused.headers["retry-after"]) > 0


async def test_scopes_and_shares(gateway: Gateway, car: Peer, owner: httpx.AsyncClient) -> None:
    text = {"kind": "text", "arguments": {"command": "stat"}}
    waiting = asyncio.ensure_future(owner.post(COMMANDS_OF_CAR, json=text, headers={"Prefer": "wait=20"}))
    await car.until_hears(b"C7,stat")
    car.send(b"c7,0,at home")
    of_admins = (await waiting).headers["location"]

    async def caller(permit: str, name: str = "demo", **limits: Any) -> httpx.AsyncClient:
        return gateway.client(headers=await token_header(gateway, permit, name, **limits))

    for permit in ("auth", "read,location,history"):
        async with await caller(permit) as reader:
            assert is_problem(await reader.post(COMMANDS_OF_CAR, json=WAKE), 403, "insufficient-rights")
            assert is_problem(await reader.get(COMMANDS_OF_CAR), 403, "insufficient-rights")
    async with await caller("admin", vehicles=["DEMO"]) as elsewhere:
        assert is_problem(await elsewhere.post(COMMANDS_OF_CAR, json=WAKE), 404, "vehicle-unknown")
    async with await caller("*", "other") as other:
        assert is_problem(await other.post(COMMANDS_OF_CAR, json=WAKE), 404, "vehicle-unknown")
        share = "INSERT INTO shares (vehicle, owner_id, permit) SELECT v.id, o.id, 'read,control' FROM vehicles v, owners o"
        await gateway.pool.execute(f"{share} WHERE v.vehicle_id = 'CAR' AND o.name = 'other'")
        async with await caller("control") as controller:
            for client in (controller, other):
                assert is_problem(await client.post(COMMANDS_OF_CAR, json=text), 403, "insufficient-rights")
                assert is_problem(await client.get(of_admins), 404, "command-unknown")
                assert is_problem(await client.delete(of_admins), 404, "command-unknown")
                assert not any(one["kind"] == "text" for one in (await client.get(COMMANDS_OF_CAR)).json()["items"])
        asking = asyncio.ensure_future(other.post(COMMANDS_OF_CAR, json=WAKE, headers={"Prefer": "wait=20"}))
        await car.until_hears(b"C18")
        car.send(b"c18,0")
        assert (await asking).json()["actor"] == "other"
    trail = await gateway.pool.fetch("SELECT o.name, a.actor FROM audit a JOIN owners o ON o.id = a.owner_id ORDER BY a.id")
    assert [tuple(row) for row in trail] == [("demo", "demo"), ("demo", "other")]


# ---- the table


async def test_every_state_with_every_input_as_postgresql_has_it(gateway: Gateway, owner: httpx.AsyncClient) -> None:
    asked = await owner.post("/api/v1/vehicles/DEMO/commands", json={**WAKE, "queue": True})
    command_id = asked.json()["id"]
    pool = gateway.pool
    vehicle = await pool.fetchval("SELECT vehicle FROM commands")

    async def step(given: Input) -> Any:
        if given is Input.SEND:
            return await rows.take_next(pool, vehicle, "nobody", origins(given), target(given), 60)
        if given is Input.KEEP:
            return await rows.put_back(pool, command_id, origins(given), target(given))
        return await rows.end(pool, command_id, End(origins(given), target(given)))

    for state in CommandState:
        for given in Input:
            # The gateway may be looking at it: it ends nothing that waits, and sends nothing that is another's to send.
            await pool.execute(
                "UPDATE commands SET state = $2, finished_at = NULL, expires_at = now() + interval '1 hour', "
                "only_by = 'nobody' WHERE id = $1",
                command_id,
                str(state),
            )
            moved = await step(given)
            expected = TRANSITIONS.get((state, given))
            assert (moved is not None) == (expected is not None), (state, given)
            assert await pool.fetchval("SELECT state FROM commands WHERE id = $1", command_id) == (expected or state)


async def test_what_is_old_is_forgotten(gateway: Gateway, owner: httpx.AsyncClient) -> None:
    kept, old, still_open = [await owner.post("/api/v1/vehicles/DEMO/commands", json={**WAKE, "queue": True}) for _ in range(3)]
    for answer in (kept, old):
        await owner.delete(answer.headers["location"])
    await gateway.pool.execute(
        "UPDATE commands SET finished_at = finished_at - $2::interval, created_at = created_at - $2 WHERE id = $1",
        old.json()["id"],
        timedelta(days=91),
    )
    assert not await rows.forget(gateway.pool, 90)
    found = await gateway.pool.fetch("SELECT id FROM commands ORDER BY place")
    assert [str(row[0]) for row in found] == [kept.json()["id"], still_open.json()["id"]]


# ---- who dies


async def test_a_gateway_that_dies_before_it_sends_leaves_it_unknown_and_unsent(
    gateway: Gateway, service: CarService, car: Peer, make_gateway: MakeGateway, owner: httpx.AsyncClient, redis_url: str
) -> None:
    """A process whose Redis stops hearing it between the mark and the message is killed; another takes over what is left."""
    socket_path = redis_url.removeprefix("unix://").partition("?")[0]
    async with LossyRedis(socket_path, passes_on=False).serving() as url:
        dying = make_gateway(OVMS_REDIS_URL=url)
        await asyncio.to_thread(dying.start)
        async with httpx.AsyncClient(base_url=dying.url, auth=("demo", "secret"), timeout=30) as client:
            asked = await client.post(COMMANDS_OF_CAR, json={**LOCK, "queue": True, "ttl": 600})
            await until_state(gateway, asked, "sent")
            following = await owner.post(COMMANDS_OF_CAR, json=WAKE)
        dying.kill()
    # As if the time that it had were over.
    await gateway.pool.execute("UPDATE commands SET answer_by = now() WHERE state = 'sent'")
    await until_state(gateway, asked, "unknown")
    await car.until_hears(b"C18")
    car.send(b"c18,0")
    await until_state(gateway, following, "succeeded")
    assert not any(heard.startswith(b"C") for heard in await car.drain())
    assert (await state_of(owner, asked))["state"] == "unknown"
    assert PIN not in dying.log
