"""How many connections the gateway accepts, in all and from one network."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api_gateway.settings import Settings
from fixtures.gateway import OWNERS, Gateway
from fixtures.waiting import until

LIMIT, SHARE = 16, 4
EVENTS = "/api/v1/events"
ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(
        update={"http_connections": LIMIT, "trusted_proxies": "127.0.8.0/24", "event_streams": 80}
    )


class Strangers:
    """Connections from addresses of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self._writers.append(streams[1])
        return streams

    async def ask(self, address: str) -> bytes:
        """Connect and send a request; the first line of the answer."""
        reader, writer = await self.connect(address)
        writer.write(ASK)
        return await reader.readline()

    def go(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()


@pytest.fixture
async def strangers(gateway: Gateway) -> AsyncIterator[Strangers]:
    made = Strangers(gateway.port)
    yield made
    made.go()


def logged(gateway: Gateway, event: str) -> bool:
    return event.encode() in gateway.log.getvalue()


async def test_past_the_most_connections_new_ones_wait(gateway: Gateway, strangers: Strangers) -> None:
    for number in range(LIMIT):
        await strangers.connect(f"127.0.{1 + number // SHARE}.1")
    asking = asyncio.create_task(strangers.ask("127.0.9.1"))
    await until(lambda: logged(gateway, "connection limit reached"))
    assert not asking.done()
    strangers.go()
    assert await asking == b"HTTP/1.1 200 OK\r\n"


async def test_one_network_cannot_keep_others_out(gateway: Gateway, strangers: Strangers) -> None:
    for number in range(1, SHARE + 1):
        await strangers.connect(f"127.0.1.{number}")
    await until(lambda: logged(gateway, "network at its share"))
    asking = asyncio.create_task(strangers.ask("127.0.1.99"))
    for number in range(SHARE):
        assert await strangers.ask(f"127.0.2.{number + 1}") == b"HTTP/1.1 200 OK\r\n"
    assert not asking.done()
    strangers.go()
    assert await asking == b"HTTP/1.1 200 OK\r\n"  # TCP has tried again


async def test_known_callers_and_trusted_proxies_have_no_share(gateway: Gateway, strangers: Strangers) -> None:
    basic = httpx.BasicAuth("demo", OWNERS["demo"][0])
    clients = [gateway.client(auth=basic) for _ in range(2 * SHARE)]
    for client in clients:
        assert (await client.get("/api/v1/account")).status_code == 200
    for number in range(SHARE + 1):
        assert await strangers.ask(f"127.0.8.{number + 1}") == b"HTTP/1.1 200 OK\r\n"
    assert not logged(gateway, "network at its share")
    for client in clients:
        await client.aclose()


async def test_one_network_has_a_part_of_the_places_for_unknown_callers_of_events(gateway: Gateway) -> None:
    """Of 80 streams 8 may be of callers that are not known yet, and 2 of those of one network."""

    def dial(address: str) -> connect:
        return connect(f"ws://127.0.0.1:{gateway.port}{EVENTS}", local_addr=(address, 0), proxy=None)

    async with dial("127.0.1.1"), dial("127.0.1.2"):
        with pytest.raises(InvalidStatus, match="503"):
            await dial("127.0.1.3")
        async with dial("127.0.2.1"):
            pass
