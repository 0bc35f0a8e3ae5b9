"""Streams of events of a real gateway, over a real PostgreSQL and a real Valkey."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from api_gateway.settings import Settings
from fixtures import names
from fixtures.gateway import OWNERS, Gateway, send_message, token_header
from fixtures.streams import Heard, reading
from fixtures.visitors import becomes
from ovms.bus.presence import Presence

DEMO = "/api/v1/vehicles/demo/events"
ALL = "/api/v1/events"
BEAT = 0.1
NUMBERS = {"DEMO": 1, "SECOND": 2, "OTHER1": 3}
VERSIONS = itertools.count(1)


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"event_heartbeat": BEAT, "event_streams": 4, "event_streams_of_caller": 2})


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client(auth=("demo", OWNERS["demo"][0])) as client:
        yield client


async def publish(gateway: Gateway, vehicle_id: str, *messages: str, channel: str = "messages") -> None:
    number = NUMBERS[vehicle_id]
    for message in messages:
        version = f"5-{next(VERSIONS)} " if channel == "messages" else ""
        await gateway.redis.publish(f"ovms:{{{vehicle_id}}}:{number}:{channel}", version + message)


async def test_first_comes_what_is_newest_then_what_changes(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K,230")
    await send_message(gateway.pool, "DEMO", "L1.5,2.5")
    async with reading(client, DEMO) as stream:
        first = [await stream.next() for _ in range(3)]
        assert [(event.kind, event.data.get("code")) for event in first if event] == [
            ("presence", None),
            ("state", "S"),
            ("state", "L"),
        ]
        await publish(gateway, "DEMO", "S76,M,230", "PAlow")
        assert (await stream.until("state", code="S"))["values"]["soc"] == 76.0
        assert (await stream.until("notification"))["text"] == "low"
        command = {"id": "1", "vehicle": "DEMO", "scope": "control", "state": "sent"}
        await publish(gateway, "DEMO", json.dumps(command), channel="commands")
        assert await stream.until("command") == command
        await Presence(gateway.redis).connect(names.DEMO, "somebody", 60)
        assert (await stream.until("presence"))["apps"] == 1


async def test_its_head(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with reading(client, DEMO) as stream:
        assert stream.answer is not None
        headers = stream.answer.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert headers["access-control-allow-origin"] == "*"


async def test_all_vehicles_are_told_of_in_one_stream(gateway: Gateway, client: httpx.AsyncClient) -> None:
    for vehicle_id in ("DEMO", "Second", "OTHER1"):
        await send_message(gateway.pool, vehicle_id, "S75,K")
    async with reading(client, ALL) as stream:
        assert {(await stream.until("state"))["vehicle"] for _ in range(2)} == {"DEMO", "Second"}
        await publish(gateway, "OTHER1", "S1,K")
        await publish(gateway, "SECOND", "S2,K")
        assert (await stream.until("state"))["vehicle"] == "Second"


async def test_a_vehicle_that_is_added_is_told_of_and_one_that_is_lost_no_more(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    move = "UPDATE vehicles SET owner_id = (SELECT id FROM owners WHERE name = $2) WHERE vehicle_id = $1"
    await send_message(gateway.pool, "OTHER1", "S1,K")
    async with reading(client, ALL) as stream:
        await gateway.pool.execute(move, "OTHER1", "demo")
        await stream.until("state", vehicle="OTHER1")
        await gateway.pool.execute(move, "OTHER1", "other")
        await becomes(lambda: _subscribers(gateway, "ovms:{OTHER1}:3:messages"), 0, 10)
        await publish(gateway, "OTHER1", "S2,K")
        await publish(gateway, "DEMO", "S3,K")
        assert (await stream.until("state"))["vehicle"] == "DEMO"


async def _subscribers(gateway: Gateway, channel: str) -> int:
    [(_, count)] = await gateway.redis.pubsub_numsub(channel)
    return int(count)


async def test_a_stream_that_was_left_leaves_nothing(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with reading(client, DEMO, params={"watch": "1"}) as stream:
        await stream.until("presence", apps=1)
        assert await _subscribers(gateway, "ovms:{DEMO}:1:messages") == 1
    await becomes(lambda: _subscribers(gateway, "ovms:{DEMO}:1:messages"), 0, 10)
    await becomes(lambda: _apps(gateway), 0, 10)


async def _apps(gateway: Gateway) -> int:
    [peers] = await Presence(gateway.redis).counts([names.DEMO])
    return peers.apps


async def test_who_watches_counts_as_an_app_as_long_as_the_stream_lives(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with reading(client, DEMO) as stream:
        assert not (await stream.until("presence"))["apps"]
    async with reading(client, DEMO, params={"watch": "1"}) as stream:
        await stream.until("presence", apps=1)
        while len(stream.comments) < 8:  # beyond the lease of one connection
            await asyncio.wait_for(anext(stream._lines), 10)
            stream.comments.append("")
        assert await _apps(gateway) == 1


async def test_who_comes_back_is_told_what_changed(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K", age=10_000)
    await send_message(gateway.pool, "DEMO", "D1,2", age=10_000)
    async with reading(client, DEMO) as stream:
        await stream.until("state", code="S")
        await stream.until("state", code="D")
        last = stream.last_id
    assert last is not None
    await gateway.pool.execute("UPDATE messages SET data = '76,K', received_at = now() WHERE code = 'S'")
    for how in ({"headers": {"Last-Event-ID": last}}, {"params": {"last_event_id": last}}):
        async with reading(client, DEMO, **how) as stream:  # type: ignore[arg-type]
            events = [await stream.next() for _ in range(3)]
            assert [event.kind for event in events if event] == ["missed", "presence", "state"]
            assert events[2] is not None
            assert events[2].data["values"]["soc"] == 76.0


@pytest.mark.parametrize("last", ["", "nonsense", "-1", "9999999999999999", "99999999999999999999999"])
async def test_an_id_of_nobody_begins_anew(gateway: Gateway, client: httpx.AsyncClient, last: str) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K", age=10_000)
    async with reading(client, DEMO, headers={"Last-Event-ID": last}) as stream:
        first = await stream.next()
        assert first is not None
        assert first.kind == "presence"
        await stream.until("state", code="S")


SCOPES: list[tuple[str, set[str]]] = [
    ("read", {"state S", "state D", "presence"}),
    ("read,location", {"state S", "state D", "state L", "presence"}),
    ("read,history", {"state S", "state D", "presence", "notification"}),
    ("read,control", {"state S", "state D", "presence", "command control"}),
    ("auth", {"state S", "state D", "state L", "presence", "notification"}),
    ("admin", {"state S", "state D", "state L", "presence", "notification", "command control", "command admin"}),
]


@pytest.mark.parametrize(("permit", "expected"), SCOPES)
async def test_each_scope_is_told_its_own(gateway: Gateway, permit: str, expected: set[str]) -> None:
    await send_message(gateway.pool, "DEMO", "L47.25,8.75")
    await send_message(gateway.pool, "DEMO", "S75,K")
    async with gateway.client(headers=await token_header(gateway, permit)) as client, reading(client, DEMO) as stream:
        await stream.until("state", code="S")
        commands = [json.dumps({"id": "1", "vehicle": "DEMO", "scope": scope}) for scope in ("control", "admin")]
        await publish(gateway, "DEMO", *commands, channel="commands")
        await publish(gateway, "DEMO", "PAlow", "L47.5,8.5", "EMLsealed", "S76,K", "D1")
        heard: list[Heard] = []
        while not heard or heard[-1].data.get("code") != "D":
            event = await stream.next()
            assert event is not None
            heard.append(event)
    names = {f"{event.kind} {event.data.get('code', event.data.get('scope', ''))}".strip() for event in heard}
    assert names | {"presence"} == expected
    assert any("8.75" in str(event) or "latitude" in str(event) for event in heard) == ("state L" in expected)


@pytest.mark.parametrize(
    ("path", "permit", "status", "problem"),
    [
        (DEMO, "control", 403, "insufficient-rights"),
        (ALL, "history", 403, "insufficient-rights"),
        ("/api/v1/vehicles/OTHER1/events", "read", 404, "vehicle-unknown"),
        ("/api/v1/vehicles/NONE/events", "admin", 404, "vehicle-unknown"),
    ],
)
async def test_who_may_not_is_refused(gateway: Gateway, path: str, permit: str, status: int, problem: str) -> None:
    async with gateway.client(headers=await token_header(gateway, permit)) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, problem)


async def test_nobody_is_refused(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for path in (DEMO, ALL):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_a_caller_and_a_process_have_so_many_streams(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as streams:
        for _ in range(2):
            await (await streams.enter_async_context(reading(client, DEMO))).until("presence")
        refused = await client.get(DEMO)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        # A token is a caller of its own.
        other = await streams.enter_async_context(gateway.client(headers=await token_header(gateway, "read")))
        for _ in range(2):
            await (await streams.enter_async_context(reading(other, DEMO))).until("presence")
        third = await streams.enter_async_context(gateway.client(headers=await token_header(gateway, "read")))
        refused = await third.get(DEMO)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    await becomes(lambda: _subscribers(gateway, "ovms:{DEMO}:1:messages"), 0, 10)
    async with reading(client, DEMO) as stream:
        await stream.until("presence")


async def revoke_token(gateway: Gateway) -> None:
    await gateway.pool.execute("DELETE FROM api_tokens")


async def expire_token(gateway: Gateway) -> None:
    await gateway.pool.execute("UPDATE api_tokens SET expires_at = now() - interval '1 second'")


async def give_away(gateway: Gateway) -> None:
    await gateway.pool.execute("UPDATE vehicles SET owner_id = (SELECT id FROM owners WHERE name = 'other')")


@pytest.mark.parametrize(
    ("change", "reason"),
    [(revoke_token, "Authentication failed"), (expire_token, "Authentication failed"), (give_away, "Vehicle unknown")],
)
async def test_it_ends_where_its_reader_may_know_no_more(gateway: Gateway, change: Any, reason: str) -> None:
    async with gateway.client(headers=await token_header(gateway, "read")) as client, reading(client, DEMO) as stream:
        await stream.until("presence")
        await change(gateway)
        assert await stream.rest() == []
        assert stream.comments[-1] == reason


async def test_it_ends_with_a_password_and_with_a_session(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with await gateway.signed_in() as cookie, reading(cookie, DEMO) as stream, reading(client, DEMO) as other:
        await stream.until("presence")
        await other.until("presence")
        assert (await cookie.delete("/api/cookie")).status_code == 200
        assert await stream.rest() == []
        assert stream.comments[-1] == "Authentication failed"
        await gateway.pool.execute("UPDATE owners SET password_hash = 'another'")
        assert await other.rest() == []


async def test_it_ends_with_a_share(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.pool.execute(
        """INSERT INTO shares (vehicle, owner_id, permit) SELECT v.id, o.id, 'read' FROM vehicles v, owners o
           WHERE v.vehicle_id = 'OTHER1' AND o.name = 'demo'"""
    )
    await send_message(gateway.pool, "OTHER1", "L1.5,2.5")
    await send_message(gateway.pool, "OTHER1", "S75,K")
    async with reading(client, "/api/v1/vehicles/OTHER1/events") as stream:
        await stream.until("state", code="S")
        await gateway.pool.execute("UPDATE shares SET permit = 'read,location'")
        assert (await stream.until("state", code="L"))["values"]["latitude"] == 1.5
        await gateway.pool.execute("DELETE FROM shares")
        await stream.rest()
        assert stream.comments[-1] == "Vehicle unknown"


async def test_a_slow_reader_is_told_the_newest(gateway: Gateway, client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
    headers = await token_header(gateway, "auth")
    writer.write(f"GET {DEMO} HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n\r\n".encode())
    await becomes(lambda: _subscribers(gateway, "ovms:{DEMO}:1:messages"), 1, 10)
    async with reading(client, DEMO) as other:
        sent = 0
        # Until much more has been told to one who reads than may lie between the server and one who does not.
        told = 0
        while told < 16 << 20:
            await publish(gateway, "DEMO", *(f"F{number},{'x' * 30_000}" for number in range(sent, sent + 20)))
            sent += 20
            told += 20 * 30_000
            await other.until("state", code="F")
        await publish(gateway, "DEMO", "Fend", *(f"PA{number}" for number in range(200)))
        await other.until("notification", text="199")
    got = b""
    async with asyncio.timeout(20):
        while b'"text":"199"' not in got[-20_000:]:
            got += await reader.read(1 << 16)
    writer.close()
    assert len(got) < told / 2
    assert b'"version":"end"' in got
    assert got.count(b"event: notification") == 100
    assert b"event: missed" in got


async def test_while_postgresql_is_slow_others_are_told(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async with reading(client, DEMO) as stream:
        await stream.until("presence")
        async with gateway.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE vehicles, messages, owners")
            await publish(gateway, "DEMO", "S76,K")
            await stream.until("state", code="S")


async def test_a_line_of_the_log_has_no_secret(gateway: Gateway) -> None:
    async with gateway.client() as client, reading(client, DEMO, params={"username": "demo", "password": "secret"}) as stream:
        await stream.until("presence")
    await becomes(lambda: _logged(gateway, '"/api/v1/vehicles/{vehicle_id}/events"'), True, 10)
    assert "secret" not in gateway.log.getvalue().decode()


async def _logged(gateway: Gateway, text: str) -> bool:
    return text in gateway.log.getvalue().decode()
