"""A session ends with the password or token that began it, whatever it is used for."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from api_gateway.settings import Settings
from fixtures.gateway import OWNERS, Gateway, send_message, token_header
from fixtures.streams import reading
from fixtures.typed import DEMO, OTHER
from fixtures.visitors import becomes
from ovms.auth.sign_in import prove_password
from ovms.bus.sessions import Login, Sessions, session_key
from ovms.db.tokens import hash_token

COOKIE = "ovmsapisession"
LOGIN = {"username": "demo", "password": "secret"}
CHANGE = {"current": "secret", "new": "correct horse"}
PASSWORD = "/api/v1/account/password"
WITHIN = 10.0
"""Seconds. Streams are re-checked once an hour here, so that only the channel of their owner can have ended them."""

CALLS = [
    ("GET", "/api/status/DEMO"),
    ("GET", "/api/protocol/DEMO"),
    ("GET", "/api/vehicle/DEMO"),
    ("GET", "/api/vehicles"),
    ("GET", "/api/historical/DEMO"),
    ("GET", "/api/token"),
    ("POST", "/api/token"),
    ("PUT", "/api/lock/DEMO"),
    ("GET", "/api/v1/account"),
    ("GET", "/api/v1/vehicles"),
    ("GET", "/api/v1/vehicles/DEMO/state"),
    # What is another's is not told apart for a session that has ended: 401 comes before 403 and 404.
    ("GET", "/api/status/OTHER1"),
    ("GET", "/api/status/%00"),
    ("GET", "/api/protocol/OTHER1"),
    ("GET", "/api/vehicle/OTHER1"),
    ("GET", "/api/v1/vehicles/OTHER1/state"),
    ("GET", "/api/cookie"),
    ("DELETE", "/api/cookie"),
]


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"event_heartbeat": 3600.0})


async def change_password(gateway: Gateway) -> None:
    await gateway.pool.execute("UPDATE owners SET password_hash = 'another'")


async def revoke(gateway: Gateway) -> None:
    await gateway.pool.execute("DELETE FROM api_tokens")


async def expire(gateway: Gateway) -> None:
    await gateway.pool.execute("UPDATE api_tokens SET expires_at = now()")


async def signed_in_with(gateway: Gateway, secret: str) -> httpx.AsyncClient:
    async with gateway.client() as client:
        answer = await client.get("/api/cookie", params={**LOGIN, "password": secret})
    assert answer.status_code == 200
    return gateway.client(cookies=answer.cookies)


async def token_of(gateway: Gateway) -> str:
    return (await token_header(gateway, "*"))["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("end", [change_password, revoke, expire])
async def test_a_cookie_is_refused_by_every_call_once_its_credential_is_gone(
    gateway: Gateway, end: Callable[[Gateway], Awaitable[None]]
) -> None:
    secret = "secret" if end is change_password else await token_of(gateway)
    async with await signed_in_with(gateway, secret) as client:
        assert (await client.get("/api/status/DEMO")).status_code == 200
        await end(gateway)
        for method, path in CALLS:
            answer = await client.request(method, path)
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False), path
    assert await gateway.pool.fetchval("SELECT count(*) FROM api_tokens WHERE permit <> '*'") == 0


async def test_a_session_that_is_written_after_the_revocation_is_refused_too(gateway: Gateway) -> None:
    """As of a login that was checked before, and reaches Redis behind it."""
    token = await token_of(gateway)
    owner, password_hash = await gateway.pool.fetchrow("SELECT id, password_hash FROM owners WHERE name = 'demo'") or (0, "")
    by_token = Login(owner, "demo", "*", hash_token(token).hex(), None, hash_token(token).hex()[:16])
    by_password = prove_password(by_token, password_hash)
    sessions = Sessions(gateway.redis, 60)
    for login, end in ((by_password, change_password), (by_token, revoke)):
        async with gateway.client(cookies={COOKIE: await sessions.create(login)}) as client:
            assert (await client.get("/api/v1/account")).status_code == 200
            await end(gateway)
        async with gateway.client(cookies={COOKIE: await sessions.create(login)}) as client:
            for method, path in CALLS:
                assert (await client.request(method, path)).status_code == 401, path


@pytest.mark.parametrize("what", ["password", "token"])
async def test_no_login_that_races_a_revocation_survives_it(gateway: Gateway, what: str) -> None:
    secret = "secret" if what == "password" else await token_of(gateway)
    cookies: list[str] = []

    async def log_in(client: httpx.AsyncClient) -> None:
        while (answer := await client.get("/api/cookie", params={**LOGIN, "password": secret})).status_code == 200:
            cookies.append(answer.cookies[COOKIE])
            client.cookies.clear()

    async with gateway.client(timeout=60) as client, gateway.client(auth=DEMO, timeout=60) as owner:
        assert (await owner.get("/api/v1/account")).status_code == 200
        racing = [asyncio.create_task(log_in(client)) for _ in range(50)]
        await asyncio.wait(racing, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        if what == "password":
            ended = await owner.put(PASSWORD, json=CHANGE)
        else:
            ended = await owner.delete(f"/api/token/{secret}")
        assert ended.status_code < 300
        await asyncio.gather(*racing)
        assert len(cookies) >= 50
        assert len({cookie for cookie in cookies if await gateway.redis.exists(session_key(cookie))}) == 50
        for cookie in cookies[-100:]:
            for path in ("/api/cookie", "/api/status/DEMO"):
                answer = await client.get(path, headers={"Cookie": f"{COOKIE}={cookie}"})
                assert answer.status_code == 401


async def test_the_session_that_changes_the_password_goes_on_with_its_stream(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K")
    mine, old = await gateway.signed_in(), await gateway.signed_in()
    async with mine, old, reading(mine, "/api/v1/events") as kept, reading(old, "/api/v1/events") as ended:
        for stream in (kept, ended):
            await stream.until("state", code="S")
        assert (await mine.put(PASSWORD, json=CHANGE)).status_code == 204
        async with asyncio.timeout(WITHIN):
            await ended.rest()
        assert ended.comments[-1] == "Authentication failed"
        await gateway.redis.publish("ovms:{DEMO}:1:messages", "5-1 S76,K")
        assert (await kept.until("state", code="S"))["values"]["soc"] == 76.0


@pytest.mark.parametrize("what", ["token", "password", "share", "account"])
async def test_an_open_stream_ends_at_once_with_what_it_rests_on(gateway: Gateway, what: str) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K")
    token = await token_of(gateway)
    auth: tuple[str, str] = DEMO if what != "token" else ("demo", token)
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER if what == "share" else auth) as reader:
        await gateway.pool.execute(
            """INSERT INTO shares (vehicle, owner_id, permit) SELECT v.id, o.id, 'read' FROM vehicles v, owners o
               WHERE v.vehicle_id = 'DEMO' AND o.name = 'other'"""
        )
        async with reading(reader, "/api/v1/vehicles/DEMO/events") as stream:
            await stream.until("state", code="S")
            match what:
                case "token":
                    answer = await owner.delete(f"/api/v1/account/tokens/{hash_token(token).hex()[:16]}")
                case "password":
                    answer = await owner.put(PASSWORD, json=CHANGE)
                case "share":
                    answer = await owner.delete("/api/v1/vehicles/DEMO/shares/other")
                case _:
                    answer = await owner.request("DELETE", "/api/v1/account", json={"password": OWNERS["demo"][0]})
            assert answer.status_code == 204
            async with asyncio.timeout(WITHIN):
                await stream.rest()
            assert stream.comments[-1] == ("Vehicle unknown" if what == "share" else "Authentication failed")


async def test_a_revocation_while_redis_is_unavailable_is_not_missed(gateway: Gateway) -> None:
    """Nobody receives what is published meanwhile, so streams are checked once their channels are joined again."""
    await send_message(gateway.pool, "DEMO", "S75,K")
    async with gateway.client(auth=DEMO) as client, reading(client, "/api/v1/vehicles/DEMO/events") as first:
        await first.until("state", code="S")
        owner = await gateway.pool.fetchval("SELECT id FROM owners WHERE name = 'demo'")
        async with reading(client, "/api/v1/events") as second:
            await second.until("state", code="S")
            await change_password(gateway)
            await gateway.redis.client_kill_filter(_type="pubsub")
            async with asyncio.timeout(WITHIN):
                await first.rest()
                await second.rest()

    async def subscribers() -> int:
        ((_, count),) = await gateway.redis.pubsub_numsub(f"ovms:{{owner:{owner}}}:revocations")
        return int(count)

    await becomes(subscribers, 0, WITHIN)
