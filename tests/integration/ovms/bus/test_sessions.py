"""HTTP sessions in a real Valkey."""

import asyncio
import hashlib

import pytest
import redis.asyncio

from fixtures.names import DEMO, OTHER
from ovms.bus.sessions import MOST_SESSIONS, Login, Sessions, session_key
from ovms.identity import VehicleName

LOGIN = Login(7, "demo", "*", "proof")
SESSIONS = "ovms:{owner:7}:sessions"


@pytest.fixture
async def client(redis_url: str):
    """A client of an empty Valkey."""
    async with redis.asyncio.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def sessions(client: redis.asyncio.Redis) -> Sessions:
    """Sessions of 60 s."""
    return Sessions(client, 60)


async def test_a_session_is_found_by_its_id_alone(sessions: Sessions) -> None:
    first, second = await sessions.create(LOGIN), await sessions.create(Login(8, "other", "auth", ""))
    assert await sessions.read(first) == LOGIN
    assert (await sessions.read(second)) == Login(8, "other", "auth", "")
    limited = Login(8, "other", "read", "proof", frozenset({"DEMO", "EV1"}), "0123456789abcdef")
    assert (await sessions.read(await sessions.create(limited))) == limited
    for unknown in ("nonsense", "7.nonsense", ".", "7.", f"{'9' * 10_000}.x", "\u0667.x"):
        assert await sessions.read(unknown) is None
    assert await sessions.read("") is None


async def test_ids_cannot_be_guessed_or_broken_by_cookies(sessions: Sessions) -> None:
    ids = {await sessions.create(LOGIN) for _ in range(20)}
    assert len(ids) == 20
    assert all(len(session) >= 43 and not set("=; \r\n") & set(session) for session in ids)


async def test_what_is_stored(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    session = await sessions.create(LOGIN)
    key = f"ovms:{{owner:7}}:session:{hashlib.sha256(session.encode()).hexdigest()}"
    assert session_key(session) == key
    assert sorted(await client.keys("*")) == [key.encode(), SESSIONS.encode()]
    assert await client.zrange(SESSIONS, 0, -1) == [key.encode()]
    for name in (key, SESSIONS):
        assert 59_000 < await client.pttl(name) <= 60_000
    assert session.encode() not in b"".join(await client.hvals(key))


async def test_reading_does_not_renew_and_connecting_does(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    session = await sessions.create(LOGIN)
    await client.expire(session_key(session), 5)
    await sessions.read(session)
    assert await client.ttl(session_key(session)) <= 5
    assert await sessions.renew(session, VehicleName("Demo", 1)) == [DEMO]
    assert await client.ttl(session_key(session)) > 50
    assert await sessions.renew(session, OTHER) == [DEMO, OTHER]
    await sessions.leave(session, VehicleName("other", 2))
    assert await sessions.renew(session, DEMO) == [DEMO]


async def test_an_ended_session_does_not_come_back(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    session = await sessions.create(LOGIN)
    await sessions.renew(session, DEMO)
    assert await sessions.end(session) == [DEMO]
    assert await sessions.end(session) == []
    assert await sessions.read(session) is None
    assert await sessions.renew(session, DEMO) is None
    await sessions.leave(session, DEMO)
    assert await client.keys("*") == []


async def test_past_50_the_one_that_was_not_renewed_for_longest_ends(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    other = await sessions.create(Login(8, "other", "*", "proof"))
    ids = [await sessions.create(LOGIN) for _ in range(MOST_SESSIONS)]
    assert await sessions.renew(ids[0], DEMO) == [DEMO]
    ids += await asyncio.gather(*(sessions.create(LOGIN) for _ in range(3)))
    there = [session for session in ids if await sessions.read(session) is not None]
    assert there == [ids[0], *ids[4:]]
    assert await client.zcard(SESSIONS) == MOST_SESSIONS
    assert await sessions.read(other) is not None


async def test_sessions_that_have_expired_do_not_count(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    ids = [await sessions.create(LOGIN) for _ in range(MOST_SESSIONS)]
    await client.delete(session_key(ids[9]))
    await client.zadd(SESSIONS, {session_key(ids[9]): 1})
    await sessions.create(LOGIN)
    assert await sessions.read(ids[0]) is not None


async def test_all_sessions_of_an_owner_end_and_no_others(sessions: Sessions, client: redis.asyncio.Redis) -> None:
    other = await sessions.create(Login(8, "other", "*", "proof"))
    ids = [await sessions.create(LOGIN) for _ in range(3)]
    await sessions.end_all(7)
    assert [await sessions.read(session) for session in ids] == [None] * 3
    assert await sessions.read(other) is not None
    assert await client.exists(SESSIONS) == 0


async def test_many_readers_share_a_way_and_get_their_own_answer(sessions: Sessions) -> None:
    logins = [Login(number, f"owner {number}", "*", "") for number in range(50)]
    ids = await asyncio.gather(*(sessions.create(login) for login in logins))
    answers = await asyncio.gather(*(sessions.read(session) for session in [*ids, *ids, "none"]))
    assert answers == [*logins, *logins, None]


async def test_a_reader_who_goes_away_does_not_disturb_the_others(sessions: Sessions) -> None:
    session = await sessions.create(LOGIN)
    gone, there = (asyncio.create_task(sessions.read(session)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await there == LOGIN


async def test_every_reader_hears_that_redis_is_away(tmp_path) -> None:
    client = redis.asyncio.Redis.from_url(f"unix://{tmp_path}/none.sock", retry=None)
    sessions = Sessions(client, 60)
    answers = await asyncio.gather(*(sessions.read(str(number % 3)) for number in range(6)), return_exceptions=True)
    assert all(isinstance(answer, redis.exceptions.ConnectionError) for answer in answers)
    await client.aclose()
