"""Events over WebSockets, with a client of another make."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from api_gateway.edge.websocket import MESSAGES
from api_gateway.settings import Settings
from api_gateway.v1.events import sockets
from fixtures.floods import CPU, FLOODS, cost_of_flood, upgrade
from fixtures.gateway import OWNERS, Gateway, send_message, token_header
from fixtures.streams import DEADLINE, closed, frames
from fixtures.visitors import becomes
from ovms.websockets import CONTROL_FRAMES, LOGIN_BYTES

DEMO = "/api/v1/vehicles/DEMO/events"
ALL = "/api/v1/events"
BASIC = {"Authorization": httpx.BasicAuth("demo", OWNERS["demo"][0])._auth_header}
LISTED = "https://app.example"


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"event_heartbeat": 0.1, "event_streams": 3, "cors_origins": f"*, {LISTED}"})


def dial(gateway: Gateway, path: str, headers: dict[str, str] | None = None, **options: Any) -> connect:
    return connect(f"ws://127.0.0.1:{gateway.port}{path}", additional_headers=headers, proxy=None, **options)


async def hears(socket: ClientConnection, kind: str, **wanted: Any) -> dict[str, Any]:
    async for event in frames(socket):
        if event.kind == kind and wanted.items() <= event.data.items():
            data: dict[str, Any] = event.data
            return data
    raise AssertionError(f"closed: {socket.close_code} {socket.close_reason}")


@pytest.mark.parametrize("path", [DEMO, ALL])
async def test_it_tells_what_a_stream_tells(gateway: Gateway, path: str) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K")
    async with dial(gateway, path, BASIC) as socket:
        assert (await hears(socket, "state", vehicle="DEMO"))["values"]["soc"] == 75.0
        await gateway.redis.publish("ovms:{DEMO}:1:messages", "5-1 PAlow")
        assert (await hears(socket, "notification"))["text"] == "low"


async def test_it_resumes(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K", age=10_000)
    async with dial(gateway, DEMO, BASIC) as socket:
        ids = []
        async for event in frames(socket):
            ids.append(event.id)
            if event.kind == "state":
                break
    assert ids[-1] is not None
    first = {"authorization": BASIC["Authorization"], "last_event_id": ids[-1]}
    async with dial(gateway, f"{DEMO}?last_event_id={ids[-1]}", BASIC) as one, dial(gateway, DEMO) as two:
        await two.send(json.dumps(first))
        for socket in (one, two):
            assert [(await anext(frames(socket))).kind for _ in range(2)] == ["missed", "presence"]


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_the_first_frame_may_say_who_it_is(gateway: Gateway, scheme: str) -> None:
    authorization = BASIC["Authorization"] if scheme == "basic" else (await token_header(gateway, "read"))["Authorization"]
    async with dial(gateway, DEMO) as socket:
        await socket.send(json.dumps({"authorization": authorization}))
        await hears(socket, "presence")


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"authorization": 5}',
        '{"authorization": "Bearer nonsense"}',
        '{"authorization": "ä"}',
        b'{"authorization": "Bearer nonsense"}',
    ],
)
async def test_who_does_not_say_who_he_is_is_sent_away(gateway: Gateway, frame: str | bytes) -> None:
    async with dial(gateway, DEMO) as socket:
        await socket.send(frame)
        assert await closed(socket) == (4401, "Authentication failed")


async def test_who_says_nothing_is_sent_away(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "INTRODUCTION_WITHIN", 0.1)
    async with dial(gateway, DEMO) as socket:
        assert await closed(socket) == (4401, "Authentication failed")


async def test_those_who_say_nothing_are_bounded_and_keep_no_caller_out(gateway: Gateway) -> None:
    async with dial(gateway, DEMO):
        with pytest.raises(InvalidStatus) as refused:
            await dial(gateway, DEMO)
        assert refused.value.response.status_code == 503
        async with dial(gateway, DEMO, BASIC) as socket:
            await hears(socket, "presence")


@pytest.mark.parametrize(
    ("path", "headers", "status", "problem"),
    [
        (DEMO, {"Authorization": "Bearer nonsense"}, 401, "authentication-failed"),
        (f"{DEMO}?username=demo&password=wrong", {}, 401, "authentication-failed"),
        ("/api/v1/vehicles/OTHER1/events", BASIC, 404, "vehicle-unknown"),
        ("/api/v1/vehicles/%00/events", BASIC, 404, "vehicle-unknown"),
    ],
)
async def test_a_handshake_is_refused_with_a_problem(
    gateway: Gateway, path: str, headers: dict[str, str], status: int, problem: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await dial(gateway, path, headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["type"].rpartition("/")[2] == problem


async def test_after_the_handshake_the_code_says_why(gateway: Gateway) -> None:
    for path, permit, code in (
        ("/api/v1/vehicles/OTHER1/events", "read", 4404),
        (DEMO, "history", 4403),
        (ALL, "control", 4403),
    ):
        async with dial(gateway, path) as socket:
            await socket.send(json.dumps({"authorization": (await token_header(gateway, permit))["Authorization"]}))
            assert (await closed(socket))[0] == code


async def test_it_ends_with_the_token(gateway: Gateway) -> None:
    async with dial(gateway, DEMO, await token_header(gateway, "read")) as socket:
        await hears(socket, "presence")
        await gateway.pool.execute("DELETE FROM api_tokens")
        async for _ in frames(socket):
            pass
        assert await closed(socket) == (4401, "Authentication failed")


# ---- cookies: a browser sends them from pages of any origin


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        (None, True),
        ("http://127.0.0.1:PORT", True),
        (LISTED, True),
        ("https://elsewhere.example", False),
        ("http://127.0.0.1:1", False),
        ("null", False),
    ],
)
async def test_a_cookie_counts_from_pages_of_this_server_and_those_that_are_listed(
    gateway: Gateway, origin: str | None, counts: bool
) -> None:
    async with await gateway.signed_in() as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"Cookie": cookie} | ({"Origin": origin.replace("PORT", str(gateway.port))} if origin else {})
    async with dial(gateway, DEMO, headers) as socket:
        if counts:
            await hears(socket, "presence")
        else:
            await socket.send("{}")
            assert (await closed(socket))[0] == 4401


async def test_a_foreign_page_may_say_who_it_is(gateway: Gateway) -> None:
    async with dial(gateway, DEMO, {"Origin": "https://elsewhere.example"}) as socket:
        await socket.send(json.dumps({"authorization": (await token_header(gateway, "read"))["Authorization"]}))
        await hears(socket, "presence")


# ---- manners


async def test_what_a_client_says_later_is_passed_over(gateway: Gateway) -> None:
    async with dial(gateway, DEMO, BASIC) as socket:
        await hears(socket, "presence")
        for _ in range(100):
            await socket.send("hello")
        await gateway.redis.publish("ovms:{DEMO}:1:messages", "5-1 PAlow")
        await hears(socket, "notification")


async def test_too_long_a_frame_ends_it(gateway: Gateway) -> None:
    async with dial(gateway, DEMO, BASIC) as socket:
        await hears(socket, "presence")
        await socket.send("x" * 20_000)
        assert (await closed(socket))[0] == 1009


async def test_one_that_has_gone_leaves_nothing(gateway: Gateway) -> None:
    async with dial(gateway, DEMO, BASIC) as socket:
        await hears(socket, "presence")
        socket.transport.abort()
    await becomes(lambda: _subscribers(gateway), 0, 10)
    assert b"request failed" not in gateway.log.getvalue()
    assert b'"status":101' in gateway.log.getvalue()


async def _subscribers(gateway: Gateway) -> int:
    [(_, count)] = await gateway.redis.pubsub_numsub("ovms:{DEMO}:1:messages")
    return int(count)


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /api/v1/events HTTP/1.1\r\n" + UPGRADE + b"\r\n", b"400"),
        (b"POST /api/v1/events HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n", b"400"),
        (b"GET /api/v1/events HTTP/1.1\r\n" + UPGRADE + KEY + b"Content-Length: 1\r\n\r\nx", b"400"),
        # Elsewhere the wish is passed over.
        (b"GET /api/v1/vehicles HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n", b"401"),
    ],
)
async def test_what_is_no_handshake(gateway: Gateway, request_: bytes, status: bytes) -> None:
    assert (await gateway.raw(request_)).split()[1] == status


async def test_who_talks_before_he_is_answered_is_cut_off(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n\x81\x85")
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(10):
            await reader.readuntil(b"101")
    writer.close()


@pytest.mark.parametrize("frame", FLOODS.values(), ids=FLOODS)
async def test_a_stranger_who_floods_with_frames_delays_nobody(gateway: Gateway, frame: bytes) -> None:
    async with gateway.client() as client:
        await client.get("/livez")  # so that what is made for the first call is not counted
        assert await cost_of_flood(gateway.port, ALL, frame, lambda: client.get("/livez")) < CPU


@pytest.mark.parametrize("frame", [b'{"authorization":""}', b""], ids=["messages", "pongs"])
async def test_a_caller_past_a_bound_of_frames_is_closed_with_1008(gateway: Gateway, frame: bytes) -> None:
    async with dial(gateway, ALL, BASIC, ping_interval=None) as socket:
        for _ in range(max(CONTROL_FRAMES, MESSAGES) + 1):
            await (socket.send(frame) if frame else socket.pong())
        async with asyncio.timeout(DEADLINE):
            await socket.wait_closed()
        assert socket.close_code == 1008


async def test_a_stranger_says_who_he_is_in_1_kib(gateway: Gateway) -> None:
    async with dial(gateway, ALL) as socket:
        await socket.send("x" * LOGIN_BYTES)
        with pytest.raises(ConnectionClosedError):
            await socket.recv()
        assert socket.close_code == 1008


async def test_one_who_is_refused_is_read_no_further_than_before(gateway: Gateway) -> None:
    """The closing handshake takes time in which frames are read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(upgrade(ALL))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x81\x81\x00\x00\x00\x00x")
    assert await reader.read(1) == b"\x88"
    writer.write(FLOODS["pongs"] * LOGIN_BYTES)
    async with asyncio.timeout(5):  # a closing handshake has 10 s
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
