"""The owner's vehicles, and connecting to them."""

import asyncio
import time

import pytest

from api_gateway.settings import Settings
from fixtures.gateway import Gateway, send_message
from fixtures.names import DEMO, name_of
from ovms.bus import channels
from ovms.bus.presence import Connected, Presence

LOGIN = {"username": "demo", "password": "secret"}


async def test_the_list(gateway: Gateway) -> None:
    presence = Presence(gateway.redis)
    await presence.begin_replica("r")
    await presence.announce("r", {await name_of(gateway.pool, "OTHER1"): Connected(1, 1, 1)})
    async with await gateway.signed_in("other") as client:
        answer = await client.get("/api/vehicles")
    assert answer.text == (
        '[{"id":"OTHER1","v_apps_connected":1,"v_btcs_connected":1,"v_net_connected":1},'
        '{"id":"OTHER2","v_apps_connected":0,"v_btcs_connected":0,"v_net_connected":0}]\n'
    )


async def test_an_owner_without_vehicles(gateway: Gateway) -> None:
    await gateway.pool.execute("DELETE FROM vehicles WHERE vehicle_id LIKE 'OTHER%'")
    async with await gateway.signed_in("other") as client:
        assert (await client.get("/api/vehicles")).text == "[]\n"


async def test_connecting(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "S75", age=100)
    async with await gateway.signed_in() as first, await gateway.signed_in() as second:
        answer = (await first.get("/api/vehicle/demo/more")).json()
        assert 100 <= answer.pop("m_msgage_s") <= 102
        assert time.strptime(answer.pop("m_msgtime_s"), "%Y-%m-%d %H:%M:%S")
        assert answer == {"v_apps_connected": 1, "v_btcs_connected": 0, "v_first_peer": 1, "v_net_connected": 0}
        assert (await first.get("/api/vehicle/DEMO")).json()["v_apps_connected"] == 1
        answer = (await second.get("/api/vehicle/DEMO/")).json()
        assert (answer["v_apps_connected"], answer["v_first_peer"]) == (2, 0)

        gone = await first.delete("/api/vehicle/Demo")
        assert (gone.status_code, gone.headers["content-type"], gone.text) == (200, "application/json", "Disconnect OK\n")
        assert (await first.delete("/api/vehicle/DEMO")).text == "Disconnect OK\n"
        assert (await first.get("/api/vehicles")).json()[0]["v_apps_connected"] == 1
        await second.delete("/api/cookie")
        assert (await first.get("/api/vehicles")).json()[0]["v_apps_connected"] == 0


async def test_a_vehicle_that_never_reported_has_no_age(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        assert set((await client.get("/api/vehicle/Second")).json()) == {
            "v_apps_connected", "v_btcs_connected", "v_first_peer", "v_net_connected"
        }  # fmt: skip


async def test_cars_are_told(gateway: Gateway) -> None:
    async with gateway.redis.pubsub() as heard, await gateway.signed_in() as client:
        await heard.subscribe(channels.peers_channel(DEMO))
        await client.get("/api/vehicle/DEMO")
        await client.delete("/api/cookie")
        counts = []
        async with asyncio.timeout(5):
            async for message in heard.listen():
                if message["type"] == "message":
                    counts.append(message["data"])
                if len(counts) == 2:
                    break
    assert b'"http":1' in counts[0]
    assert b'"http":0' in counts[1]


async def test_a_login_in_the_query_is_one_app_with_a_lease(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for _ in range(3):
            answer = (await client.get("/api/vehicle/DEMO", params=LOGIN)).json()
            assert answer["v_apps_connected"] == 1
        (member, until), = await gateway.redis.zrange(channels.http_key(DEMO), 0, -1, withscores=True)  # fmt: skip
        assert b"secret" not in member
        assert time.time() + 350 < until < time.time() + 361
        await client.delete("/api/vehicle/DEMO", params=LOGIN)
        assert await gateway.redis.zcard(channels.http_key(DEMO)) == 0


async def test_connecting_renews_the_session_and_all_its_vehicles_and_reading_does_not(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        await client.get("/api/vehicle/DEMO")
        (key,) = [key async for key in gateway.redis.scan_iter("ovms:*:session:*")]
        (member,) = await gateway.redis.zrange(channels.http_key(DEMO), 0, -1)
        soon = time.time() + 5
        await gateway.redis.expire(key, 5)
        await gateway.redis.zadd(channels.http_key(DEMO), {member: soon})

        await client.get("/api/status/DEMO")
        await client.get("/api/vehicles")
        assert await gateway.redis.ttl(key) <= 5

        await client.get("/api/vehicle/Second")
        assert await gateway.redis.ttl(key) > 300
        assert await gateway.redis.zscore(channels.http_key(DEMO), member) > soon + 300


@pytest.mark.parametrize(
    "path",
    ["/api/vehicle/OTHER1", "/api/vehicle/NOSUCH", "/api/vehicle/", "/api/vehicle", "/api/vehicle/%00", "/api/vehicle/%C3%A4"],
)
async def test_foreign_and_impossible_vehicles(gateway: Gateway, path: str) -> None:
    async with await gateway.signed_in() as client:
        for method in ("GET", "DELETE"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"], answer.text) == (403, "text/plain", "Forbidden\n")


class TestShortSessions:
    """With sessions of a second."""

    @pytest.fixture
    def gateway_settings(self, gateway_settings: Settings) -> Settings:
        return gateway_settings.model_copy(update={"api_session_timeout": 0.5})

    async def test_a_session_ends_and_its_connections_with_it(self, gateway: Gateway) -> None:
        async with await gateway.signed_in() as client:
            assert (await client.get("/api/vehicle/DEMO")).status_code == 200
            async with asyncio.timeout(10):
                while (await client.get("/api/status/DEMO")).status_code == 200:
                    pass
            assert (await client.get("/api/vehicle/DEMO")).status_code == 401
        (peers,) = await Presence(gateway.redis).counts([DEMO])
        assert peers.apps == 0
