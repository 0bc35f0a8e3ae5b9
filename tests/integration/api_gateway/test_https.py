"""HTTPS beside HTTP: the same server behind both, and a certificate that can change."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from fixtures.certificates import Pair, another_pair, curious, environment_without_ours, old, pair
from fixtures.gateway import provision
from ovms.db.engine import Pool

__all__ = ["another_pair", "pair"]

PROGRAM = (sys.executable, "-m", "api_gateway")


class HttpsGateway:
    """`python -m api_gateway` with a certificate."""

    def __init__(self, process: Process, pair: Pair) -> None:
        self.process = process
        self.pair = pair
        self.port = self.tls_port = 0

    async def listening(self) -> None:
        """Wait until both ports are open."""
        self.port = (await self.logged("listening"))["port"]
        self.tls_port = (await self.logged("listening with TLS"))["port"]

    async def logged(self, event: str) -> dict[str, object]:
        """The next line of the log that says so."""
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            while line := await self.process.stdout.readline():
                told: dict[str, object] = json.loads(line)
                if told["event"] == event:
                    return told
        raise AssertionError(f"never said {event!r}")

    def client(self, context: ssl.SSLContext | None = None, **options: object) -> httpx.AsyncClient:
        """A caller of the API that checks the certificate."""
        return httpx.AsyncClient(
            base_url=f"https://localhost:{self.tls_port}", verify=context or self.pair.trusted(), trust_env=False, **options
        )

    async def raw(self, request: bytes) -> bytes:
        """All that is answered to these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tls_port, ssl=self.pair.trusted())
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def shown(self) -> bytes:
        """The certificate that a new session is shown."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tls_port, ssl=curious())
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await reader.read()
        return certificate


@contextlib.asynccontextmanager
async def started(environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A gateway in a process of its own, killed in the end where it still runs."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, env={**environment_without_ours(), **environment}, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def https(database_url: str, redis_url: str, secret_keys: str, pool: Pool, pair: Pair) -> AsyncIterator[HttpsGateway]:
    """A gateway with both ports, and the owners of the other tests; it ends when it is told to."""
    await provision(pool)
    ports = {"OVMS_HTTP_PORT": "0", "OVMS_HTTPS_PORT": "0"}
    stores = {"OVMS_DATABASE_URL": database_url, "OVMS_REDIS_URL": redis_url, "OVMS_SECRET_KEYS": secret_keys}
    environment = {**pair.environment, **stores, **ports}
    async with started(environment) as process:
        gateway = HttpsGateway(process, pair)
        await gateway.listening()
        yield gateway
        if process.returncode is None:
            process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, errors) == (0, b"")


async def test_a_session_of_one_port_is_one_of_the_other(https: HttpsGateway) -> None:
    async with https.client() as client:
        answer = await client.get("/api/cookie", params={"username": "demo", "password": "secret"})
    assert answer.status_code == 200
    assert answer.http_version == "HTTP/1.1"
    async with httpx.AsyncClient(cookies={"ovmsapisession": answer.cookies["ovmsapisession"]}) as client:
        vehicles = await client.get(f"http://127.0.0.1:{https.port}/api/vehicles")
    assert [vehicle["id"] for vehicle in vehicles.json()] == ["DEMO", "Second"]


async def test_the_cookie_of_a_browser_is_for_https_alone(https: HttpsGateway) -> None:
    login = "/api/cookie?username=demo&password=secret"
    attributes = {"browser": ["HttpOnly", "SameSite=Lax", "Secure"], "program": []}
    async with https.client() as client:
        for caller, expected in attributes.items():
            fetched = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"} if caller == "browser" else {}
            answer = await client.get(login, headers=fetched)
            assert answer.headers["set-cookie"].split("; ")[1:] == expected, caller
        assert (await client.get("/api/vehicles")).status_code == 200
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{https.port}{login}", headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.headers["set-cookie"].split("; ")[1:] == ["HttpOnly", "SameSite=Lax"]


async def test_its_manners_are_those_of_the_other_port(https: HttpsGateway) -> None:
    answer = await https.raw(
        b"GET /api/cookie?username=demo&password=secret HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nSet-Cookie: ovmsapisession=" in answer
    assert (await https.raw(b"GARBAGE\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_http_2_is_not_offered(https: HttpsGateway) -> None:
    context = https.pair.trusted()
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", https.tls_port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
    writer.close()


async def test_tls_1_1_is_refused(https: HttpsGateway) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection("127.0.0.1", https.tls_port, ssl=old())
    assert await https.shown() == https.pair.der


async def test_a_certificate_is_changed_by_a_signal_and_nobody_is_dropped(https: HttpsGateway, another_pair: Pair) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", https.tls_port, ssl=https.pair.trusted())
    https.pair.become(another_pair)

    https.process.send_signal(signal.SIGHUP)

    await https.logged("new certificate")
    assert await https.shown() == another_pair.der
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.read()).endswith(b"\r\n\r\nok\n")
    writer.close()


async def test_a_certificate_is_changed_when_its_files_are(https: HttpsGateway, another_pair: Pair) -> None:
    https.pair.become(another_pair)
    await https.logged("new certificate")
    assert await https.shown() == another_pair.der


async def test_a_certificate_that_cannot_be_used_changes_nothing(https: HttpsGateway) -> None:
    before = await https.shown()
    https.pair.certificate.write_text("garbage")
    https.process.send_signal(signal.SIGHUP)
    told = await https.logged("the new certificate cannot be used, the old one stays")
    assert told["reason"] == f"OVMS_TLS_CERTIFICATE={https.pair.certificate}: no certificate in PEM form"
    assert await https.shown() == before


async def test_a_connection_that_is_kept_open_does_not_keep_it_from_ending(https: HttpsGateway) -> None:
    async with https.client() as client:
        assert (await client.get("/livez")).text == "ok\n"
        https.process.terminate()
        await asyncio.wait_for(https.process.wait(), 15)


# ---- what keeps it from starting


@pytest.fixture
def stores(tmp_path: Path, secret_keys: str) -> dict[str, str]:
    """What a gateway needs; neither store is there."""
    return {
        "OVMS_DATABASE_URL": f"postgresql://u:hush@/d?host={tmp_path}",
        "OVMS_REDIS_URL": f"unix://{tmp_path}/none.sock",
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_HTTP_PORT": "0",
    }


async def ends(environment: Mapping[str, str]) -> tuple[int | None, str]:
    async with started(environment) as process:
        output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert output == b""
    return process.returncode, errors.decode()


async def test_a_key_that_does_not_fit_is_one_line(stores: dict[str, str], pair: Pair, another_pair: Pair) -> None:
    status, errors = await ends({**stores, **pair.environment, "OVMS_TLS_KEY": str(another_pair.key)})
    reason = f"OVMS_TLS_KEY={another_pair.key}: not the key of the first certificate in {pair.certificate}"
    assert (status, errors) == (1, f"api-gateway: {reason}\n")


async def test_a_key_that_is_not_there_is_one_line(stores: dict[str, str], pair: Pair, tmp_path: Path) -> None:
    status, errors = await ends({**stores, **pair.environment, "OVMS_TLS_KEY": f"{tmp_path}/none.pem"})
    assert (status, errors) == (1, f"api-gateway: OVMS_TLS_KEY={tmp_path}/none.pem: No such file or directory\n")


async def test_a_port_in_use_is_one_line(stores: dict[str, str], pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, errors = await ends({**stores, **pair.environment, "OVMS_HTTPS_PORT": str(port)})
    assert (status, errors) == (1, f"api-gateway: cannot listen on 127.0.0.1 port {port}: Address already in use\n")
