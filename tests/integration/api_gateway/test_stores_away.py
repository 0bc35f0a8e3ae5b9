"""PostgreSQL or Redis is away: callers are told to try again, and nothing else."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api_gateway.settings import Settings
from fixtures.gateway import running

LOGIN = {"username": "demo", "password": "secret"}


@pytest.fixture
async def lonely(tmp_path: Path, secret_keys: str) -> AsyncIterator[tuple[httpx.AsyncClient, io.BytesIO]]:
    """A caller of a gateway that has neither store, and the gateway's log."""
    log = io.BytesIO()
    database_url, redis_url = f"postgresql://u:p@/d?host={tmp_path}", f"unix://{tmp_path}/none.sock"
    settings = Settings(database_url=database_url, redis_url=redis_url, secret_keys=secret_keys)
    async with running(settings, log) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client, log


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/cookie"),
        ("DELETE", "/api/cookie"),
        ("GET", "/api/token"),
        ("POST", "/api/token"),
        ("DELETE", "/api/token/x"),
        ("GET", "/api/vehicles"),
        ("GET", "/api/vehicle/DEMO"),
        ("DELETE", "/api/vehicle/DEMO"),
        ("GET", "/api/status/DEMO"),
        ("GET", "/api/protocol/DEMO"),
        ("GET", "/api/historical/DEMO"),
        ("GET", "/api/historical/DEMO/x"),
        ("PUT", "/api/lock/DEMO"),
    ],
)
async def test_every_call_says_try_again(lonely: tuple[httpx.AsyncClient, io.BytesIO], method: str, path: str) -> None:
    client, log = lonely
    for params, headers in ((LOGIN, {}), ({}, {"Cookie": "ovmsapisession=x"})):
        answer = await client.request(method, path, params=params, headers=headers)
        assert (answer.status_code, answer.headers["content-type"], answer.text) == (
            503,
            "text/plain",
            "Service unavailable\n",
        )
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["access-control-allow-origin"] == "*"
    assert b"Traceback" not in log.getvalue()


async def test_a_broker_is_told_neither_yes_nor_no(lonely: tuple[httpx.AsyncClient, io.BytesIO]) -> None:
    client, log = lonely
    answer = await client.post("/mqapi/auth", data=LOGIN)
    assert (answer.status_code, answer.text) == (503, "Service unavailable\n")
    assert b"secret" not in log.getvalue()


async def test_health(lonely: tuple[httpx.AsyncClient, io.BytesIO]) -> None:
    client, _ = lonely
    assert (await client.get("/livez")).text == "ok\n"
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"postgresql": "unavailable", "redis": "unavailable"})
    assert (await client.get("/openapi.json")).status_code == 200
    assert (await client.get("/api/nonsense")).status_code == 404
    assert (await client.get("/api/vehicles")).status_code == 401


async def test_many_callers_do_not_wait_long(lonely: tuple[httpx.AsyncClient, io.BytesIO]) -> None:
    client, _ = lonely
    began = time.monotonic()
    answers = await asyncio.gather(*(client.get("/api/vehicles", params=LOGIN) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {503}
    assert time.monotonic() - began < 10
