"""Guesses of vehicle passwords and of keys of configurations are slowed down; right ones are not."""

import asyncio

import pytest

from car_protocol.logins.desk import FREE_KEYS
from fixtures.cars import DEADLINE, CarService, Peer
from fixtures.waiting import until
from ovms.auth.delays import FREE, Source
from ovms.identity import Role


def closed(peers: list[Peer]) -> int:
    """Return how many of these are closed."""
    return sum(peer.is_closed for peer in peers)


async def guess(service: CarService, count: int, vehicle_id: str = "DEMO") -> list[Peer]:
    return [await service.connect(Role.APP, vehicle_id, b"WRONG %d" % number) for number in range(count)]


@pytest.mark.usefixtures("end_delays")
@pytest.mark.parametrize("vehicle_id", ["DEMO", "NOBODY"])
async def test_guesses_that_come_together_wait_for_their_turns(car_service: CarService, vehicle_id: str) -> None:
    guesses = await guess(car_service, 20 * FREE, vehicle_id)
    await until(lambda: closed(guesses) >= FREE, DEADLINE)
    await car_service.car("Other-1")  # it is checked after all that came before it
    assert closed(guesses) == FREE


async def test_a_right_password_comes_before_the_guesses_that_wait_already(car_service: CarService) -> None:
    guesses = await guess(car_service, 20 * FREE)
    await until(lambda: closed(guesses) >= FREE, DEADLINE)
    await car_service.app()
    assert closed(guesses) <= 3 * FREE


async def test_many_right_logins_that_come_with_wrong_ones_are_all_welcome(car_service: CarService) -> None:
    wrong = await guess(car_service, FREE)
    for peer in wrong:
        await peer.closed()
    right = [await car_service.connect(Role.APP, "DEMO") for _ in range(20)]
    for peer in right:
        await peer.welcomed()


@pytest.mark.usefixtures("end_delays")
async def test_a_car_is_not_slowed_down_by_guesses_from_elsewhere(car_service: CarService) -> None:
    delays = car_service.running.server.desk._credentials._delays
    await car_service.car()
    for number in range(200):
        delays.failed("DEMO", Source(f"127.0.0.{2 + number}"), asyncio.get_running_loop().time())
    await car_service.car()


async def test_guesses_while_postgresql_is_unavailable_are_slowed_down(car_service: CarService) -> None:
    desk = car_service.running.server.desk
    await car_service.car()
    desk._credentials._register.is_away = True
    await guess(car_service, 3 * FREE)
    await until(lambda: desk._credentials._delays.has_failures("DEMO"), DEADLINE)


@pytest.mark.usefixtures("end_delays")
async def test_keys_of_configurations_are_not_guessed_quickly(car_service: CarService) -> None:
    async def ask(key: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", car_service.port)
        writer.write(b"AP-C 0 KEY%d\r\n" % key)
        try:
            return await reader.readline()
        finally:
            writer.close()

    asked = [asyncio.create_task(ask(key)) for key in range(3 * FREE_KEYS)]
    await until(lambda: sum(answer.done() for answer in asked) >= FREE_KEYS, DEADLINE)
    await car_service.car()
    answers = [answer.result() for answer in asked if answer.done()]
    assert answers == [b"AP-X\r\n"] * FREE_KEYS
    for answer in asked:
        answer.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
