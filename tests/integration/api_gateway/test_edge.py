"""What real clients send over TCP, and what must not get through."""

import asyncio
import io
import re

import pytest

from api_gateway.app import make_api
from api_gateway.edge.protocol import MAX_BODY, MAX_HEAD, EdgeProtocol
from api_gateway.settings import Settings
from fixtures.gateway import Gateway, provision, routes_of, running
from fixtures.waiting import until
from ovms.db.engine import Pool

CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"
LOGIN = b"username=demo&password=secret"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def session(gateway: Gateway) -> bytes:
    async with await gateway.signed_in() as client:
        return client.cookies["ovmsapisession"].encode()


async def test_a_stray_cr_behind_the_cookie(gateway: Gateway) -> None:
    cookie = b"Cookie: ovmsapisession=" + await session(gateway) + b"\r\r\n"
    assert status(await gateway.raw(b"GET /api/status/DEMO HTTP/1.1\r\n" + cookie + CLOSE)) == 200
    assert (
        status(await gateway.raw(b"GET /api/status/DEMO HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + cookie + b"\r\n"))
        == 200
    )


@pytest.mark.parametrize(
    "path",
    [
        b"/api/cookie/",
        b"/api/vehicles//",
        b"/api/status/DEMO/",
        b"/api/status/demo",
        b"/api/token//",
        b"/api/vehicle/DEMO/more",
        b"/api/historical/DEMO/",
        b"/api/status/DEMO#fragment",
        b"http://x/api/status/DEMO",
    ],
)
async def test_paths(gateway: Gateway, path: bytes) -> None:
    answer = await gateway.raw(
        b"GET " + path + b" HTTP/1.1\r\nCookie: a=b;ovmsapisession=" + await session(gateway) + b"\r\n" + CLOSE
    )
    assert status(answer) == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"//api/vehicles", b"not found\n"),
        (b"/api//vehicles", b"Unrecognised API call\n"),
        (b"/api", b"Unrecognised API call\n"),
        (b"/api/", b"Unrecognised API call\n"),
        (b"/api/nonsense/x", b"Unrecognised API call\n"),
        (b"/", b"not found\n"),
        (b"/apix", b"not found\n"),
        (b"/docs/", b"not found\n"),
        (b"/docs/assets/nothing.js", b"not found\n"),
        (b"/docs/assets/..%2Fcore.py", b"not found\n"),
    ],
)
async def test_paths_that_are_nothing(gateway: Gateway, path: bytes, body: bytes) -> None:
    answer = await gateway.raw(b"GET " + path + b" HTTP/1.1\r\n" + CLOSE)
    assert status(answer) == 404
    assert answer.endswith(b"\r\n\r\n" + body)
    assert b"location:" not in answer.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/vehicles?" + LOGIN + b" HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        b"GET /api/vehicles?" + LOGIN + b" HTTP/1.0\r\n\r\n",
        b"GET /api/vehicles?" + LOGIN + b" HTTP/1.1\nHost: x\nConnection: close\n\n",
        b"\r\n\r\nGET /api/vehicles?" + LOGIN + b" HTTP/1.1\r\n" + CLOSE,
        b"GET /api/vehicles?" + LOGIN + b'&x=%zz&y=\xc3\xa4&z=a b"<>{}|^[]\\ HTTP/1.1\r\n' + CLOSE,
        b"GET /api/vehicles?" + LOGIN + b" HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHost: x\r\n\r\n",
        b"GET /api/vehicles?" + LOGIN + b" HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: x\r\n\r\n",
    ],
)
async def test_heads(gateway: Gateway, head: bytes) -> None:
    answer = await gateway.raw(head)
    assert status(answer) == 200
    assert answer.endswith(b"]\n")


@pytest.mark.parametrize("chunk", [1, 7])
async def test_a_request_in_pieces(gateway: Gateway, chunk: int) -> None:
    request = (
        b"POST /api/token?" + LOGIN + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\npermit=x"
        b"GET /api/token?" + LOGIN + b"&\xc3\xa4 HTTP/1.1\r\n" + CLOSE
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for start in range(0, len(request), chunk):
        writer.write(request[start : start + chunk])
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    writer.close()
    assert answer.count(b"HTTP/1.1 201") == 1
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b'"permit":"x"' in answer


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    first = b"GET /api/nonsense HTTP/1.1\r\nHost: x\r\nCookie: a\r\r\n\r\n"
    answer = await gateway.raw(first * 3 + b"GET /livez HTTP/1.1\r\n" + CLOSE)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [404, 404, 404, 200]


async def test_a_chunked_body(gateway: Gateway) -> None:
    answer = await gateway.raw(
        b"POST /api/token?" + LOGIN + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4\r\nperm\r\n4\r\nit=x\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
    )
    assert status(answer) == 201
    assert b'"permit":"x"' in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n\r\r\nGET /x HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/0.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.2\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\n\r\n", 400),
        (b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEAD // 6), 431),
        (b"POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (
            b"POST /api/token?"
            + LOGIN
            + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"400\r\n"
            + b"x" * 1024
            + b"\r\n",
            0,
        ),
    ],
)
async def test_what_is_refused(gateway: Gateway, request_bytes: bytes, expected: int) -> None:
    if expected == 0:
        chunk = request_bytes[request_bytes.index(b"400\r\n") :]
        request_bytes, expected = request_bytes + chunk * 16, 413
    answer = await gateway.raw(request_bytes)
    assert status(answer) == expected
    assert b"connection: close" in answer
    assert b"access-control-allow-origin: *" in answer


READABLE = sorted(
    {re.sub(r"\{[^}]*\}", "DEMO", route.path) for route in routes_of(make_api().routes) if "GET" in route.methods}
)
CHANGING = ("date", "x-request-id", "ratelimit", "age")


async def test_head_is_answered_as_get_without_a_body(gateway: Gateway) -> None:
    assert {"/api/status/DEMO", "/livez", "/docs", "/api/v1/vehicles/DEMO/events"} < set(READABLE)
    async with await gateway.signed_in() as client:
        for path in (*READABLE, "/nowhere", "/api/nonsense", "/api/v1/nowhere"):
            async with asyncio.timeout(10):
                head = await client.head(path)
                async with client.stream("GET", path) as got:
                    pass
            assert head.content == b""
            assert head.status_code == got.status_code, path
            if not path.endswith(("/events", "/cookie")) and "commands" not in path:
                head_fields, get_fields = ({name for name in answer.headers if name not in CHANGING} for answer in (head, got))
                assert head_fields == get_fields - {"transfer-encoding"}, path
                assert head.headers.get("content-length") == got.headers.get("content-length"), path
    raw = await gateway.raw(b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\n" + CLOSE)
    assert raw.count(b"HTTP/1.1 200 OK") == 2
    assert raw.count(b"ok\n") == 1
    logged = gateway.log.getvalue()
    assert b"Traceback" not in logged
    assert b'"method":"HEAD","route":"/livez","status":200' in logged


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/status/DEMO", "GET, HEAD, OPTIONS"),
        ("/api/cookie", "DELETE, GET, HEAD, OPTIONS"),
        ("/mqapi/auth", "OPTIONS, POST"),
        ("/livez", "GET, HEAD, OPTIONS"),
        ("/api/v1/vehicles/DEMO", "DELETE, GET, HEAD, OPTIONS"),
    ],
)
async def test_options_names_the_methods_of_a_path(gateway: Gateway, path: str, allowed: str) -> None:
    async with gateway.client() as client:
        answer = await client.options(path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (200, allowed, b"")
        assert (await client.options("/nowhere")).status_code == 404
        assert (await client.options("/api/nonsense")).status_code == 404


async def test_legacy_paths_answer_other_methods_as_the_reference(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for path in ("/api/status/DEMO", "/mqapi/auth", "/"):
            assert (await client.patch(path)).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/vehicles", "/api/v1/vehicles/DEMO/state", "/livez", "/docs"])
@pytest.mark.parametrize("method", ["PATCH", "TRACE"])
async def test_methods_that_a_call_has_not(gateway: Gateway, path: str, method: str) -> None:
    async with gateway.client() as client:
        answer = await client.request(method, path)
    allowed = answer.headers["allow"].split(", ")
    assert (answer.status_code, {"GET", "HEAD", "OPTIONS"} <= set(allowed), method in allowed) == (405, True, False)


async def test_a_preflight_is_answered(gateway: Gateway) -> None:
    asked = {
        "Origin": "https://a",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization, if-none-match",
    }
    async with gateway.client() as client:
        answer = await client.options("/api/cookie", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    sent = set(answer.headers["access-control-allow-headers"].split(", "))
    assert {"Authorization", "If-None-Match", "Last-Event-ID"} <= sent


async def test_every_answer_names_the_origins(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        for path in ("/api/vehicles", "/api/status/NOSUCH", "/nothing", "/api/nonsense", "/docs", "/livez"):
            answer = await client.get(path)
            assert answer.headers.get_list("access-control-allow-origin") == ["*"], path


async def test_the_bodies_of_clients_that_go_away(gateway: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /api/token?" + LOGIN + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npermit")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await until(lambda: b'"POST"' in gateway.log.getvalue())
    assert b'"status":500' not in gateway.log.getvalue()
    assert b"Traceback" not in gateway.log.getvalue()


async def test_what_is_being_received_is_bounded_in_all(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    held = gateway.held
    monkeypatch.setattr(held, "_left", 3_000)
    body = b"POST /mqapi/acl HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n" + b"x" * 2_000
    writers = []
    for sent in (body, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 800):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        writers.append(writer)
    await until(lambda: held._left < 200)
    answer = await gateway.raw(body)
    assert status(answer) == 503
    assert b"\r\nretry-after: 5\r\n" in answer
    assert status(await gateway.raw(b"GET /livez HTTP/1.1\r\n" + CLOSE)) == 200
    for writer in writers:
        writer.close()
    await until(lambda: held._left == 3_000)
    async with gateway.client() as client:
        assert (await client.post("/mqapi/acl", data={"username": "demo"})).status_code == 403
    await until(lambda: held._left == 3_000)


class Impatient(EdgeProtocol):
    head_timeout = 0.05
    body_timeout = 0.05


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 408 Request Timeout"),
        (
            b"POST /api/token?" + LOGIN + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nperm",
            b"HTTP/1.1 408 Request Timeout",
        ),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /", b"HTTP/1.1 200 OK"),
    ],
)
async def test_slow_clients_are_closed(gateway_settings: Settings, pool: Pool, sent: bytes, answered: bytes) -> None:
    await provision(pool)
    async with running(gateway_settings, io.BytesIO(), Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    assert answer.startswith(answered)
    assert bool(answer) is bool(answered)
