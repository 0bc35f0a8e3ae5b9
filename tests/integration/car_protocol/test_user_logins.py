"""Logins of scheme 1: a user's name with his password or an API token."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import DEADLINE, CarService, add_vehicles, car_service_on
from fixtures.visitors import becomes
from fixtures.waiting import until
from ovms.auth.delays import FREE, Source
from ovms.auth.passwords import PasswordChecks
from ovms.bus.channels import revocations_channel
from ovms.db.engine import Pool
from ovms.db.passwords import hash_password, verify_password
from ovms.db.tokens import create_token


class User:
    """A peer that speaks lines in clear."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, *lines: str) -> None:
        self._writer.write(b"".join(line.encode() + b"\r\n" for line in lines))

    async def hears(self, *lines: str) -> None:
        async with asyncio.timeout(DEADLINE):
            assert [(await self._reader.readline()).decode() for _ in lines] == [f"{line}\r\n" for line in lines]

    async def hears_a_line(self, start: str) -> None:
        """Read up to a line that starts so."""
        async with asyncio.timeout(DEADLINE):
            while not (await self._reader.readuntil(b"\n")).decode().startswith(start):
                pass

    async def rest(self) -> bytes:
        """All that is sent until the connection is closed."""
        return await self._reader.read()

    async def is_closed_without_a_byte(self) -> bool:
        async with asyncio.timeout(DEADLINE):
            return await self._reader.read(1) == b""

    def close(self) -> None:
        self._writer.close()


Visit = Callable[[str], Any]
hashed = cache(hash_password)


@pytest.fixture
async def service(car_settings: dict[str, Any], pool: Pool, secret_keys: str) -> AsyncIterator[CarService]:
    """A service, with three vehicles of Anna's, one of Bert's, and Carl, who has none. Passwords are names in lower case."""
    for name, vehicle_ids in {"Anna": ["ZOE", "DEMO", "Leaf-2"], "Bert": ["SECRET"], "Carl": []}.items():
        await add_vehicles(pool, secret_keys, *vehicle_ids)
        password_hash = await asyncio.to_thread(hashed, name.lower())
        await pool.execute("UPDATE owners SET name = $1, password_hash = $2 WHERE password_hash = 'none'", name, password_hash)
    async with car_service_on(Settings(**car_settings), pool) as service:
        yield service


@pytest.fixture
async def visit(service: CarService) -> AsyncIterator[Visit]:
    """Connects users, with their welcome."""
    users: list[User] = []

    async def connect(welcome: str) -> User:
        user = User(*await asyncio.open_connection("127.0.0.1", service.port))
        users.append(user)
        user.say(welcome)
        return user

    yield connect
    for user in users:
        user.close()


# ---- who is let in


@pytest.mark.parametrize(
    ("welcome", "selected"),
    [
        ("MP-A 1 Anna anna *", "DEMO"),
        ("MP-A 1 aNNA anna zoe", "ZOE"),
        ("MP-B 1 Anna anna LEAF-2", "Leaf-2"),
        ("MP-A 1 Anna anna DEMO car.png", "DEMO"),
    ],
)
async def test_the_answer_names_the_vehicle_and_all_the_owner_has(visit: Visit, welcome: str, selected: str) -> None:
    user = await visit(welcome)
    await user.hears(f"MP-S 1 Anna {selected} DEMO Leaf-2 ZOE", "Z0", "T3020399")


async def test_a_car_and_its_app_speak_in_clear(visit: Visit) -> None:
    car = await visit("MP-C 1 Anna anna DEMO")
    await car.hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE", "Z0")
    app = await visit("MP-A 1 Anna anna DEMO")
    await app.hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE", "Z1", "T3020399")
    car.say("S1,K", "A")
    await car.hears("Z1", "a")
    app.say("C7,stat")
    await car.hears("C7,stat")
    car.say("c7,0,fine")
    await app.hears("S1,K", "T0", "c7,0,fine")


async def test_names_and_passwords_are_utf_8(visit: Visit, pool: Pool) -> None:
    password_hash = await asyncio.to_thread(hash_password, "grün,süß")
    await pool.execute("UPDATE owners SET name = 'Jörg', password_hash = $1 WHERE name = 'Bert'", password_hash)
    await (await visit("MP-A 1 jörg grün,süß SECRET")).hears("MP-S 1 Jörg SECRET SECRET")


@pytest.mark.parametrize("permit", ["v2", "*", "auth, V2"])
async def test_a_token_with_the_right_lets_in(visit: Visit, pool: Pool, permit: str) -> None:
    owner = await pool.fetchval("SELECT id FROM owners WHERE name = 'Anna'")
    token = await create_token(pool, owner, application="a", purpose="p", permit=permit)
    await (await visit(f"MP-A 1 anna {token} *")).hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")


async def test_a_token_for_some_vehicles_knows_no_other(visit: Visit, pool: Pool) -> None:
    owner = await pool.fetchval("SELECT id FROM owners WHERE name = 'Anna'")
    token = await create_token(pool, owner, application="a", purpose="p", permit="v2", vehicles=["LEAF-2"])
    await (await visit(f"MP-A 1 Anna {token} *")).hears("MP-S 1 Anna Leaf-2 Leaf-2")
    assert await (await visit(f"MP-A 1 Anna {token} DEMO")).is_closed_without_a_byte()


# ---- who is not


@pytest.mark.parametrize(
    "welcome",
    [
        "MP-A 1 Anna Anna *",
        "MP-A 1 nobody anna *",
        "MP-A 1 Anna anna SECRET",
        "MP-A 1 Anna anna NOSUCHCAR",
        "MP-A 1 Carl carl *",
        "MP-A 1 Carl carl DEMO",
        "MP-S 1 Anna anna *",
    ],
)
async def test_others_are_closed_without_a_byte(visit: Visit, welcome: str) -> None:
    assert await (await visit(welcome)).is_closed_without_a_byte()


@pytest.mark.parametrize(("permit", "user"), [("auth", "anna"), ("none", "anna"), ("v2", "bert")])
async def test_a_token_lets_in_with_the_right_and_the_name_of_its_owner(
    visit: Visit, pool: Pool, permit: str, user: str
) -> None:
    owner = await pool.fetchval("SELECT id FROM owners WHERE name = 'Anna'")
    token = await create_token(pool, owner, application="a", purpose="p", permit=permit)
    assert await (await visit(f"MP-A 1 {user} {token} *")).is_closed_without_a_byte()


# ---- who waits


async def test_who_guesses_waits_and_others_do_not(service: CarService, visit: Visit, end_delays: Callable[[], None]) -> None:
    for guess in range(FREE):
        assert await (await visit(f"MP-A 1 Anna {guess} *")).is_closed_without_a_byte()
    users = service.running.server.users
    anna, bert = await visit("MP-A 1 ANNA anna *"), await visit("MP-A 1 Bert bert *")
    await bert.hears("MP-S 1 Bert SECRET SECRET", "Z0", "T3020399")
    assert users.waiting == 1
    end_delays()
    await anna.hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")


@pytest.mark.usefixtures("end_delays")
async def test_guesses_that_wait_together_are_checked_one_by_one(service: CarService, visit: Visit) -> None:
    guesses = [await visit(f"MP-A 1 Anna wrong{number} *") for number in range(12 * FREE)]
    answers = [asyncio.create_task(guess.is_closed_without_a_byte()) for guess in guesses]
    await until(lambda: sum(answer.done() for answer in answers) >= FREE, DEADLINE)
    await (await visit("MP-A 1 Bert bert *")).hears("MP-S 1 Bert SECRET SECRET")
    assert sum(answer.done() for answer in answers) == FREE
    for answer in answers:
        answer.cancel()
    await asyncio.gather(*answers, return_exceptions=True)


@pytest.mark.usefixtures("end_delays")
async def test_a_right_password_is_not_slowed_down_by_guesses_from_elsewhere(
    service: CarService, visit: Visit, pool: Pool
) -> None:
    users, loop = service.running.server.users, asyncio.get_running_loop()
    await (await visit("MP-A 1 Anna anna *")).hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")
    for number in range(200):
        users._delays.failed("anna", Source(f"127.0.0.{2 + number}"), loop.time())
    owner = await pool.fetchval("SELECT id FROM owners WHERE name = 'Anna'")
    token = await create_token(pool, owner, application="a", purpose="p", permit="v2")
    await (await visit("MP-A 1 Anna anna *")).hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")
    await (await visit(f"MP-A 1 Anna {token} *")).hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")


async def test_passwords_that_are_too_many_to_check_wait(service: CarService, visit: Visit) -> None:
    go_on, checking = threading.Event(), threading.Event()

    def verify(password_hash: str, password: str) -> bool:
        checking.set()
        go_on.wait(DEADLINE)
        return verify_password(password_hash, password)

    users = service.running.server.users
    users._sign_in._passwords.close()
    users._sign_in._passwords = checks = PasswordChecks(verify, threads=1, waiting=0)
    first = await visit("MP-A 1 Anna anna *")
    await asyncio.to_thread(checking.wait, DEADLINE)
    second, gone = await visit("MP-A 1 Bert bert *"), await visit("MP-A 1 Carl carl *")
    await until(lambda: users.waiting == 3)
    gone.close()
    await until(lambda: users.waiting == 2, DEADLINE)
    go_on.set()
    await first.hears("MP-S 1 Anna DEMO DEMO Leaf-2 ZOE")
    await second.hears("MP-S 1 Bert SECRET SECRET")
    checks.close()


async def test_who_waits_when_the_service_stops_is_let_go(car_settings: dict[str, Any], pool: Pool, secret_keys: str) -> None:
    await add_vehicles(pool, secret_keys, "DEMO")
    async with car_service_on(Settings(**car_settings | {"drain_timeout": 1.0}), pool) as service:
        users = service.running.server.users
        users._delays.wait = lambda name, address, now: 60.0  # type: ignore[method-assign]
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"MP-A 1 anna anna *\r\n")
        await until(lambda: users.waiting == 1)
    assert users.waiting == 0
    assert await reader.read() == b""
    writer.close()


# ---- how long it stays


async def of_anna(pool: Pool, **limits: Any) -> tuple[int, str]:
    """Anna, and a token of hers."""
    owner = await pool.fetchval("SELECT id FROM owners WHERE name = 'Anna'")
    return owner, await create_token(pool, owner, application="a", purpose="p", permit="v2", **limits)


async def is_closed(user: User) -> None:
    async with asyncio.timeout(DEADLINE / 2):
        await user.rest()


@pytest.mark.parametrize("what", ["token", "password"])
async def test_a_session_ends_at_once_with_its_credential(visit: Visit, service: CarService, pool: Pool, what: str) -> None:
    owner, token = await of_anna(pool)
    other = await visit(f"MP-A 1 anna {token if what == 'password' else 'anna'} DEMO")
    bert = await visit("MP-A 1 bert bert SECRET")
    for peer in (other, bert):
        await peer.hears_a_line("MP-S 1")
    user = await visit(f"MP-A 1 anna {'anna' if what == 'password' else token} DEMO")
    await user.hears_a_line("MP-S 1")
    channel = revocations_channel(owner)
    await becomes(lambda: subscribers(service, channel), 1, DEADLINE)
    if what == "token":
        await pool.execute("DELETE FROM api_tokens")
    else:
        await pool.execute("UPDATE owners SET password_hash = 'x' WHERE id = $1", owner)
    await service.redis.publish(channel, b"")
    await is_closed(user)
    for peer in (other, bert):
        peer.say("A")
        await peer.hears_a_line("a")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sessions are re-checked ten times a second; to be asked for before the service."""
    monkeypatch.setattr("car_protocol.logins.user_sessions.EVERY", 0.1)


async def test_a_session_ends_where_nothing_is_published(often: None, visit: Visit, pool: Pool) -> None:
    """As where a token expires, or an operator revokes it."""
    _, token = await of_anna(pool)
    user = await visit(f"MP-A 1 anna {token} DEMO")
    await user.hears_a_line("MP-S 1")
    await pool.execute("UPDATE api_tokens SET expires_at = now()")
    await is_closed(user)


async def test_channels_of_owners_are_left_with_their_last_session(visit: Visit, service: CarService, pool: Pool) -> None:
    owner, _ = await of_anna(pool)
    user = await visit("MP-A 1 anna anna DEMO")
    await user.hears_a_line("MP-S 1")
    await becomes(lambda: subscribers(service, revocations_channel(owner)), 1, DEADLINE)
    user.close()

    async def left() -> bool:
        await service.redis.publish(revocations_channel(owner), b"")
        return await subscribers(service, revocations_channel(owner)) == 0

    await becomes(left, True, DEADLINE)


async def subscribers(service: CarService, channel: str) -> int:
    ((_, count),) = await service.redis.pubsub_numsub(channel)
    return int(count)
