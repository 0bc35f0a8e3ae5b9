"""Presence, sessions and subscriptions at a Redis whose primary sentinels tell of."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from fixtures.names import DEMO
from fixtures.sentinel import HOST, PASSWORD, PRIMARY, Watched, running_sentinels
from fixtures.waiting import until
from ovms.bus.client import followed, open_redis
from ovms.bus.presence import Connected, Peers, Presence
from ovms.bus.sessions import Login, Sessions
from ovms.bus.subscriptions import Listener, Subscriptions

LOGIN = Login(7, "demo", "*", "proof")
WITHIN = 10.0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with running_sentinels(tmp_path_factory.mktemp("sentinels")) as watched:
        yield watched


@pytest.fixture
async def client(watched: Watched) -> AsyncIterator[redis.asyncio.Redis]:
    # As car-protocol has it: what waits for an answer waits for as long as whoever asks does.
    client = open_redis(watched.url, socket_connect_timeout=5.0, socket_timeout=None)
    yield client
    await client.aclose()


@pytest.mark.parametrize(("index", "wanted"), [(1, 0), (0, 5)], ids=["replica", "primary that too few follow"])
async def test_a_server_that_takes_no_writes_is_lost(watched: Watched, index: int, wanted: int) -> None:
    watched.servers[index].config_set("min-replicas-to-write", wanted)
    async with open_redis(f"redis://:{PASSWORD}@{HOST}:{watched.ports[index]}") as client:
        assert await client.ping()
        presence, sessions = Presence(client), Sessions(client, 60)
        for write in (
            lambda: client.set("key", "value"),
            lambda: presence.begin_replica("r1"),
            lambda: presence.connect(DEMO, "session", 60),
            lambda: sessions.create(LOGIN),
        ):
            with pytest.raises(LostConnection):
                await write()
    watched.servers[index].config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:{PASSWORD}@{HOST}:{port}/{PRIMARY}",  # without the sentinels' password
        "redis+sentinel://:{PASSWORD}@{HOST}:{port}/other?sentinel_password=hush",
    ],
)
async def test_where_no_sentinel_tells_redis_is_away(watched: Watched, url: str) -> None:
    wrong = url.format(PASSWORD=PASSWORD, HOST=HOST, PRIMARY=PRIMARY, port=watched.sentinel_ports[0])
    async with open_redis(wrong) as client:
        with pytest.raises(LostConnection) as lost:
            await client.ping()
    assert "hush" not in str(lost.value)


async def test_a_primary_that_hangs_is_left_for_who_takes_its_place(watched: Watched, client: redis.asyncio.Redis) -> None:
    presence, sessions, subscriptions = Presence(client), Sessions(client, 60), Subscriptions(client)
    heard, confirmed = list[bytes](), list[bool]()
    subscriptions.hear(b"channel", Listener(heard.append, lambda: confirmed.append(True)))
    task = asyncio.create_task(subscriptions.run())
    await presence.begin_replica("r1")
    await presence.announce("r1", {DEMO: Connected(1, 2, 0)})
    session = await sessions.create(LOGIN)
    await until(lambda: len(confirmed) == 1)
    assert await client.wait(2, 5000) == 2, "both replicas have it"
    assert followed(client) == (HOST, watched.ports[0])

    watched.pause(0)
    async with asyncio.timeout(WITHIN):
        while await _answer(presence) is None:  # noqa: ASYNC110  it says nothing when it is there again
            await asyncio.sleep(0.05)
        await until(lambda: len(confirmed) == 2)
        assert await client.publish("channel", b"again") == 1
        await until(lambda: heard == [b"again"])
    assert await presence.counts([DEMO]) == [Peers(1, 2, 0, 0)]
    assert await sessions.read(session) == LOGIN
    await presence.connect(DEMO, "session", 60)
    assert followed(client) != (HOST, watched.ports[0])
    watched.resume(0)
    task.cancel()
    await asyncio.wait([task])


async def _answer(presence: Presence) -> list[Peers] | None:
    try:
        async with asyncio.timeout(0.5):
            return await presence.counts([DEMO])
    except (RedisError, OSError):
        return None
