"""The internal port."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from car_protocol.health import HealthPort
from ovms.metrics import counter, make_registry


class Three(Collector):
    def collect(self) -> Iterable[Metric]:
        yield counter("ovms_things", "Things", 3)


@asynccontextmanager
async def port(**ready: bool) -> AsyncIterator[int]:
    def check(answer: bool):
        async def ask() -> bool:
            return answer

        return ask

    health = HealthPort(make_registry(Three()), {name: check(answer) for name, answer in ready.items()})
    async with await health.open("127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


async def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    """The head's first line and the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


async def get(port: int, path: str) -> tuple[bytes, bytes]:
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


async def test_alive_is_always_answered() -> None:
    async with port(postgresql=False) as number:
        assert await get(number, "/livez") == (b"HTTP/1.1 200 OK", b"ok\n")
        assert await get(number, "/livez?verbose") == (b"HTTP/1.1 200 OK", b"ok\n")


async def test_one_part_is_asked_by_its_name() -> None:
    async with port(port=True, postgresql=False) as number:
        assert await get(number, "/readyz/port") == (b"HTTP/1.1 200 OK", b'{"port": true}\n')
        assert await get(number, "/readyz/postgresql") == (b"HTTP/1.1 503 Service Unavailable", b'{"postgresql": false}\n')
        for path in ("/readyz/redis", "/readyz/", "/readyz/port/", "/port", "port"):
            assert (await get(number, path))[0] == b"HTTP/1.1 404 Not Found"


@pytest.mark.parametrize(
    ("ready", "status", "body"),
    [
        ({"postgresql": True, "redis": True}, b"HTTP/1.1 200 OK", b'{"postgresql": true, "redis": true}\n'),
        ({"postgresql": True, "redis": False}, b"HTTP/1.1 503 Service Unavailable", b'{"postgresql": true, "redis": false}\n'),
    ],
)
async def test_ready_is_when_every_part_is(ready: dict[str, bool], status: bytes, body: bytes) -> None:
    async with port(**ready) as number:
        assert await get(number, "/readyz") == (status, body)


async def test_metrics_are_those_of_the_registry() -> None:
    async with port() as number:
        status, body = await get(number, "/metrics")
    assert status == b"HTTP/1.1 200 OK"
    text = body.decode()
    assert "ovms_things_total 3.0" in text
    assert "# HELP process_cpu_seconds_total" in text


async def test_other_paths_are_not_found() -> None:
    async with port() as number:
        assert await get(number, "/") == (b"HTTP/1.1 404 Not Found", b"not found\n")


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"\r\n\r\n", b"x" * 20_000])
async def test_nonsense_is_closed(request_: bytes) -> None:
    async with port() as number:
        try:
            status, _ = await ask(number, request_)
        except ConnectionError:
            status = b""
        assert status == b""
