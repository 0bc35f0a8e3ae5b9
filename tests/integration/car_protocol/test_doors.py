"""Two ports and one limit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, CarService, Peer, add_vehicles, car_service_on
from fixtures.certificates import Pair, pair
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.identity import Role

__all__ = ["pair"]


@pytest.fixture
async def two_doors(car_settings: dict[str, Any], pool: Pool, secret_keys: str, pair: Pair) -> AsyncIterator[CarService]:
    """A service with two ports, for two connections."""
    await add_vehicles(pool, secret_keys, "DEMO")
    settings = Settings(**car_settings, **pair.settings, v2_tls_port=0, connections=2)
    async with car_service_on(settings, pool) as service:
        yield service


async def silent(port: int | None, address: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    return writer


async def test_a_handshake_that_does_not_end_counts_as_a_connection(two_doors: CarService) -> None:
    listener = two_doors.running.listener
    held = [await silent(listener.tls_port, address) for address in ("127.0.1.1", "127.0.2.1")]
    await until(lambda: not listener.is_open)
    assert listener.connections == 2
    car = await two_doors.connect(Role.CAR, "DEMO")
    assert (car.received, car.is_closed) == (0, False)

    for writer in held:
        writer.close()

    await car.welcomed()
    await until(lambda: listener.connections == 1)


async def test_a_handshake_that_does_not_end_counts_for_its_network(two_doors: CarService) -> None:
    listener, server = two_doors.running.listener, two_doors.running.server
    writer = await silent(listener.tls_port, "127.0.1.1")
    await until(lambda: server.shares.full == {"127.0.1.0/24"})
    writer.close()
    await until(lambda: not server.shares.full)


async def test_what_is_no_handshake_is_forgotten(two_doors: CarService) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", two_doors.running.listener.tls_port)
    writer.write(b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO\r\n")
    async with asyncio.timeout(DEADLINE):
        await reader.read()
    writer.close()
    await until(lambda: two_doors.running.listener.connections == 0)


async def test_without_a_certificate_there_is_one_door(car_service: CarService) -> None:
    assert car_service.running.listener.tls_port is None
    car_service.running.reload_certificate()


@pytest.fixture
async def narrow_gate(car_settings: dict[str, Any], pool: Pool, secret_keys: str, pair: Pair) -> AsyncIterator[CarService]:
    """A service that reads one connection of an address until it has logged in."""
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    settings = Settings(**car_settings, **pair.settings, v2_tls_port=0, logins_per_address=1)
    async with car_service_on(settings, pool) as service:
        yield service


async def test_who_waits_at_the_gate_is_read_later_over_tls_too(narrow_gate: CarService, pair: Pair) -> None:
    first, second = (Peer(Role.CAR, vehicle_id) for vehicle_id in ("DEMO", "Other-1"))
    loop = asyncio.get_running_loop()
    for peer in (first, second):
        await loop.create_connection(
            lambda peer=peer: peer, "127.0.0.1", narrow_gate.running.listener.tls_port, ssl=pair.trusted()
        )
    second.introduce()
    assert (first.is_closed, second.is_closed, second.is_welcome) == (False, False, False)
    first.introduce()
    await first.welcomed()
    await second.welcomed()
    await second.drain()
    for peer in (first, second):
        peer.close()
