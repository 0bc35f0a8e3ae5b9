"""The process: `python -m api_gateway`."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ovms.local.ports import free_ports


@asynccontextmanager
async def started(environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A gateway in a process of its own, killed in the end where it still runs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OVMS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api_gateway", env={**ours, **environment}, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def listening(process: Process) -> int:
    """The port, once it listens."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = json.loads(await process.stdout.readline())
    assert line["event"] == "listening"
    port: int = line["port"]
    return port


@pytest.fixture
def environment(tmp_path: Path, secret_keys: str) -> dict[str, str]:
    """What a gateway needs; neither store is there."""
    return {
        "OVMS_DATABASE_URL": f"postgresql://u:hush@/d?host={tmp_path}",
        "OVMS_REDIS_URL": f"unix://{tmp_path}/none.sock",
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_HTTP_PORT": "0",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_starts_without_its_stores_and_ends_when_told(environment: dict[str, str], number: signal.Signals) -> None:
    async with started(environment) as process:
        port = await listening(process)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/livez?password=hush")
            assert answer.text == "ok\n"
        process.send_signal(number)
        output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert errors == b""
    lines = [json.loads(line) for line in output.splitlines()]
    away = [line for line in lines if line["event"] == "store unavailable"]
    assert sorted((line["store"], line["effect"]) for line in away) == [
        ("PostgreSQL", "queued commands wait"),
        ("Redis", "no channel is received"),
    ]
    assert all(line["address"] and "@" not in line["address"] for line in away)
    lines = [line for line in lines if line not in away]
    assert [line["event"] for line in lines] == ["request", "stopped"]
    assert {"method", "route", "status", "ms", "timestamp", "level"} <= lines[0].keys()
    assert b"hush" not in output


async def test_a_port_in_use_is_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with started({**environment, "OVMS_HTTP_PORT": str(port)}) as process:
            output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert output == b""
    assert errors.decode() == f"api-gateway: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


async def test_wrong_settings_are_one_line_without_their_values(environment: dict[str, str]) -> None:
    del environment["OVMS_REDIS_URL"]
    async with started({**environment, "OVMS_API_SESSION_TIMEOUT": "hush"}) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert errors.decode() == (
        "api-gateway: wrong settings: "
        "OVMS_API_SESSION_TIMEOUT (Input should be a valid number, unable to parse string as a number), "
        "OVMS_REDIS_URL (Field required)\n"
    )


async def test_metrics_have_a_port_of_their_own(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # Its address too: that of the public ports is 127.0.0.2 here.
    settings = {**environment, "OVMS_HOST": "127.0.0.2", "OVMS_GATEWAY_METRICS_PORT": str(port)}
    async with started(settings) as process, httpx.AsyncClient() as client:
        public = await listening(process)
        await client.get(f"http://127.0.0.2:{public}/api/status/DEMO")
        assert (await client.get(f"http://127.0.0.2:{public}/metrics")).status_code == 404
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.2:{port}/metrics")
        metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert 'ovms_http_request_duration_seconds_count{method="GET",route="/api/status/{vehicle_id}",status="401"} 1.0' in metrics


async def test_several_workers_serve_one_port(environment: dict[str, str]) -> None:
    metrics_port = free_ports(2)
    settings = {"OVMS_WORKERS": "2", "OVMS_GATEWAY_METRICS_PORT": str(metrics_port)}
    async with started({**environment, **settings}) as process:
        port = await listening(process)
        assert await listening(process) == port
        async with httpx.AsyncClient(headers={"connection": "close"}) as client:
            # So many that no worker is left out by chance: the kernel draws one for each.
            for _ in range(40):
                assert (await client.get(f"http://127.0.0.1:{port}/livez")).text == "ok\n"
            answered = [await counted(client, metrics_port + worker) for worker in range(2)]
        assert sum(answered) == 40
        assert min(answered) > 0
        async with started({**environment, "OVMS_WORKERS": "2", "OVMS_HTTP_PORT": str(port)}) as second:
            output, errors = await asyncio.wait_for(second.communicate(), 30)
            assert (second.returncode, output) == (1, b"")
            assert errors.decode() == f"api-gateway: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
        process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert errors == b""


async def counted(client: httpx.AsyncClient, port: int) -> int:
    """Requests that a worker has answered."""
    metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    found = re.search(r'seconds_count\{.*route="/livez".*\} (\d+)', metrics)
    return int(found[1]) if found else 0


async def test_a_metrics_port_in_use_is_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with started({**environment, "OVMS_GATEWAY_METRICS_PORT": str(port)}) as process:
            _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert errors.decode() == f"api-gateway: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
