"""Pushing with a whole service: an app subscribes, a car notifies, and a real server far away is told."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from car_protocol.push import confirmations
from car_protocol.push.channel import PATIENCE
from car_protocol.push.channels import CredentialsUnreadable, open_channels
from car_protocol.settings import Settings
from fixtures.cars import CarService, add_vehicles, car_service_on
from fixtures.push_services import Answer, HttpService, MailService, http_service, mail_service
from fixtures.waiting import until
from integration.car_protocol.push.conftest import eventually
from ovms.db.engine import Pool
from ovms.db.mail_addresses import MOST_ASKED_OF_OWNER, use_code
from ovms.db.push import MOST_OF_ENDPOINT_AT_ONCE
from ovms.db.sealing import Sealer
from ovms.identity import Role


class Far:
    """A service, and what it pushes to."""

    def __init__(self, service: CarService, http: HttpService, mail: MailService) -> None:
        self.service = service
        self.http = http
        self.mail = mail

    async def subscribers(self) -> list[tuple[str, str, str, str]]:
        rows = await self.service.pool.fetch(
            "SELECT vehicle_id, app_id, push_type, key FROM push_subscriptions JOIN vehicles ON id = vehicle "
            "ORDER BY vehicle_id, app_id"
        )
        return [tuple(row) for row in rows]

    async def subscribed(self, *expected: tuple[str, str, str, str]) -> None:
        await eventually(lambda: self._has(list(expected)))

    async def _has(self, expected: list[tuple[str, str, str, str]]) -> bool:
        return await self.subscribers() == expected

    def mailed(self) -> str:
        """The texts of all mails."""
        return "\n".join(mail.get_content() for _, mail in self.mail.mails)  # type: ignore[attr-defined]

    def hooks(self) -> list[str]:
        return [json.loads(request.body)["message"] for request in self.http.sent_to("/hook")]


MINE = "me@example.org"
"""An address that the operator has given the owner."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail addresses are looked at often enough for a test."""
    monkeypatch.setattr(confirmations, "EVERY", 0.05)


@pytest.fixture
def more_settings() -> dict[str, Any]:
    """What a test sets besides."""
    return {}


@pytest.fixture
async def far(car_settings: dict[str, Any], more_settings: dict[str, Any], pool: Pool, secret_keys: str) -> AsyncIterator[Far]:
    await add_vehicles(pool, secret_keys, "DEMO", "Second")
    await add_vehicles(pool, secret_keys, "Stranger")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_service())
        http.answer = Answer(200, {"data": {"status": "ok"}})
        mail = await stack.enter_async_context(mail_service())
        pushing = {
            "webhook_secret": "secret",
            "webhook_private": True,
            "expo_url": http.url,
            "mail_host": "localhost",
            "mail_port": mail.port,
            "mail_security": "none",
            "mail_from": "ovms@example.org",
        }
        settings = Settings(**car_settings | pushing | more_settings)
        await pool.execute(
            "INSERT INTO mail_addresses (owner_id, address, confirmed_at) "
            "SELECT owner_id, $1, now() FROM vehicles WHERE vehicle_id = 'DEMO'",
            MINE,
        )
        yield Far(await stack.enter_async_context(car_service_on(settings, pool)), http, mail)


async def test_from_the_car_to_every_subscriber(far: Far) -> None:
    car, app, batch = await far.service.scene()
    hook = f"{far.http.url}/hook"
    app.send(f"pA,webhook,,demo,NETPASS,{hook}".encode(), b"pE,expo,simple,ExponentPushToken[x]")
    batch.send(b"pme,mail,,DEMO,NETPASS,me@example.org")
    await far.subscribed(
        ("DEMO", "A", "webhook", hook), ("DEMO", "E", "expo", "ExponentPushToken[x]"), ("DEMO", "me", "mail", "me@example.org")
    )
    car.send(b"PACar is on fire")
    await until(lambda: far.hooks() and far.mail.mails and far.http.sent_to("/--/api/v2/push/send"))
    assert await app.drain() == [b"PACar is on fire"]
    await far.service.written()
    [(record_type, _, data)] = await far.service.history()
    assert (record_type, data) == ("*-Log-Notification", b"A,Car is on fire")
    await eventually(lambda: _is_empty(far.service.pool))


async def _is_empty(pool: Pool) -> bool:
    return not await pool.fetchval("SELECT EXISTS (SELECT FROM push_outbox WHERE done_at IS NULL)")


async def test_a_mail_address_that_is_a_dash_ends_it(far: Far) -> None:
    app = await far.service.app()
    app.send(b"pme,mail,simple,me@example.org")
    await far.subscribed(("DEMO", "me", "mail", "me@example.org"))
    app.send(b"pme,mail,,DEMO,NETPASS,-")
    await far.subscribed()


async def test_an_owner_subscribes_to_his_other_vehicles_with_their_passwords_only(far: Far) -> None:
    app = await far.service.app()
    app.send(
        b"p1,gcm,,second,NETPASS,token",
        b"p2,gcm,,Second,WRONG,token",
        b"p3,gcm,,Stranger,NETPASS,token",
        b"p4,gcm,,Nobody,NETPASS,token",
        b"p5,gcm,,Sec\0ond,NETPASS,token",
        b"p6,gcm,,Second,,token",
        b"p7,gcm,simple,last",
    )
    await until(lambda: not far.service.running.server.subscriptions._tasks)
    await app.drain()
    await far.subscribed(("DEMO", "7", "gcm", "last"), ("Second", "1", "gcm", "token"))
    assert far.service.running.server.counters.ignored == 2


async def test_a_password_with_commas(far: Far, secret_keys: str) -> None:
    key_id, sealed = Sealer.from_setting(secret_keys).seal(b"a,b,c", context="SECOND")
    await far.service.pool.execute(
        "UPDATE vehicles SET password = $1, password_key_id = $2 WHERE vehicle_id = 'Second'", sealed, key_id
    )
    app = await far.service.app()
    app.send(b"p1,gcm,production,Second,a,b,c,token")
    await far.subscribed(("Second", "1", "gcm", "token"))


async def test_a_car_subscribes_nobody(far: Far) -> None:
    car = await far.service.car()
    car.send(b"p1,gcm,simple,token")
    await car.drain()
    assert far.service.running.server.counters.ignored == 1
    assert await far.subscribers() == []


async def test_the_owner_hears_once_that_a_login_fails_and_once_that_it_works(far: Far) -> None:
    app = await far.service.app()
    app.send(f"pA,webhook,simple,{far.http.url}/hook".encode())
    await far.subscribed(("DEMO", "A", "webhook", f"{far.http.url}/hook"))
    for role in (Role.APP, Role.CAR, Role.CAR):
        thief = await far.service.connect(role, "DEMO", b"GUESSED")
        await thief.closed()
    await until(lambda: len(far.hooks()) == 1)
    for _ in range(2):
        await far.service.car()
    await until(lambda: len(far.hooks()) == 2)
    assert far.hooks() == ["Vehicle authentication failed (127.0.0.1)", "Vehicle authentication successful (127.0.0.1)"]
    await far.service.written()
    assert [data for _, _, data in await far.service.history()] == [f"A,{text}".encode() for text in far.hooks()]


async def test_sixty_four_strangers_get_ten_questions_and_no_notification(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    car, app, _ = await far.service.scene()
    for number in range(64):
        app.send(b"pm%d,mail,simple,stranger%d@example.org" % (number, number))
        await app.drain()
    car.send(*[b"PAChosen words %d" % number for number in range(40)])
    await far.service.written()
    await until(lambda: len(far.mail.mails) == MOST_ASKED_OF_OWNER)
    await far.service.running.server.outbox._sweep()
    assert len({tuple(recipients) for recipients, _ in far.mail.mails}) == len(far.mail.mails) == MOST_ASKED_OF_OWNER
    assert "Chosen words" not in far.mailed()
    assert not await far.service.pool.fetchval("SELECT count(*) FROM push_outbox")


@pytest.mark.parametrize("more_settings", [{"public_url": "https://ovms.example.org:6869"}, {}])
async def test_an_address_gets_notifications_once_its_code_was_used(far: Far, more_settings: dict[str, Any]) -> None:
    car, app, _ = await far.service.scene()
    app.send(b"pm,mail,simple,New@Example.org")
    await until(lambda: far.mail.mails)
    [(recipients, _)] = far.mail.mails
    assert recipients == ["new@example.org"]
    link = r"https://ovms\.example\.org:6869/mail/confirm\?code=([\w-]{24})\r?$" if more_settings else r"^([\w-]{24})\r?$"
    [code] = re.findall(link, far.mailed(), re.MULTILINE)
    assert await use_code(far.service.pool, code) == "new@example.org"
    assert await use_code(far.service.pool, code) is None
    car.send(b"PACar is on fire")
    await until(lambda: "Car is on fire" in far.mailed())


@pytest.mark.parametrize("more_settings", [{"notification_days": 0}])
async def test_without_a_history_they_are_pushed_all_the_same(far: Far) -> None:
    car, app, _ = await far.service.scene()
    app.send(f"pA,webhook,simple,{far.http.url}/hook".encode())
    await far.subscribed(("DEMO", "A", "webhook", f"{far.http.url}/hook"))
    car.send(b"PACar is on fire")
    await until(lambda: far.hooks() == ["Car is on fire"])
    assert await far.service.history() == []


async def test_a_push_service_that_hangs_slows_no_car(far: Far) -> None:
    """It accepts, and says nothing."""
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()
        await writer.wait_closed()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    car, app, _ = await far.service.scene()
    app.send(f"pS,webhook,simple,http://127.0.0.1:{port}/".encode(), b"pme,mail,simple,me@example.org")
    await eventually(lambda: _has_two(far))
    car.send(*[b"PACar is on fire %d" % number for number in range(20)])
    await until(lambda: {f"Car is on fire {number}" for number in range(20)} <= set(far.mailed().splitlines()))
    for _ in range(20):
        await car.drain()
    assert far.service.running.server.outbox.retried == 0
    over.set()
    silent.close()


async def test_the_hanging_web_hook_of_one_owner_delays_no_push_of_another(far: Far) -> None:
    """It answers a header line now and then, so that no time-out between two reads ever ends it."""
    over, hanging = asyncio.Event(), set[int]()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hanging.add(id(writer))
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not over.is_set():
            writer.write(b"X-More: 1\r\n")
            with suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(over.wait(), 0.5)
        writer.close()

    silent = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    car, app, _ = await far.service.scene()
    app.send(f"pS,webhook,simple,http://127.0.0.1:{port}/".encode())
    await far.subscribed(("DEMO", "S", "webhook", f"http://127.0.0.1:{port}/"))
    other, other_app = await far.service.car("Stranger"), await far.service.app("Stranger")
    other_app.send(f"pS,webhook,simple,{far.http.url}/hook".encode())
    await eventually(lambda: _has_two(far))
    car.send(*[b"PACar is on fire %d" % number for number in range(24)])
    await until(lambda: len(hanging) == MOST_OF_ENDPOINT_AT_ONCE)
    other.send(b"PAStopped")
    await until(lambda: far.hooks() == ["Stopped"])
    outbox = far.service.running.server.outbox
    assert (outbox.retried, len(hanging)) == (0, MOST_OF_ENDPOINT_AT_ONCE)
    await until(lambda: outbox.retried == MOST_OF_ENDPOINT_AT_ONCE, 2 * PATIENCE)
    over.set()
    silent.close()


async def test_a_burst_of_one_car_reaches_apps_and_history_in_full_and_a_hook_at_its_pace(far: Far) -> None:
    car, app, _ = await far.service.scene()
    app.send(f"pA,webhook,simple,{far.http.url}/hook".encode())
    await far.subscribed(("DEMO", "A", "webhook", f"{far.http.url}/hook"))
    low = b"PA12V Battery critical: 11.2V"
    car.send(*[low] * 40, *[b"PIinfo %d" % number for number in range(40)])
    assert len([message for message in await app.until_hears(b"PIinfo 39") if message[:1] == b"P"]) == 79
    await until(lambda: len(far.hooks()) == far.service.settings.push_per_minute)
    assert far.hooks()[0].startswith("12V Battery critical: 11.2V")
    await far.service.written()
    assert len(await far.service.history()) == 80
    assert len(far.hooks()) == far.service.settings.push_per_minute


async def _has_two(far: Far) -> bool:
    return len(await far.subscribers()) == 2


# ---- what is configured


async def test_what_is_missing_is_said_once_at_start(far: Far, capfd: pytest.CaptureFixture[str]) -> None:
    channels = open_channels(far.service.settings, lambda: 0.0)
    for channel in channels.values():
        await channel.close()
    assert list(channels) == ["mail", "expo", "webhook"]
    assert capfd.readouterr().out.count("push types that are not configured") == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", "not JSON"])
@pytest.mark.parametrize("setting", ["fcm_credentials", "apns_key"])
async def test_a_file_of_credentials_that_is_none_ends_the_start(
    car_settings: dict[str, Any], tmp_path: Path, setting: str, content: str
) -> None:
    path = tmp_path / "credentials"
    path.write_text(content)
    ids = {"apns_key_id": "KEYID", "apns_team_id": "TEAMID", "expo": False}
    with pytest.raises(CredentialsUnreadable, match="credentials"):
        open_channels(Settings(**car_settings | ids | {setting: path}), lambda: 0.0)


def pem(key: Any) -> str:
    """A key, as a file holds it."""
    form = serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())


async def test_files_of_credentials_open_their_channels(car_settings: dict[str, Any], tmp_path: Path) -> None:
    account, key = tmp_path / "account.json", tmp_path / "key.p8"
    names = {name: name for name in ("project_id", "client_email", "private_key_id", "token_uri")}
    private = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    account.write_text(json.dumps(names | {"private_key": private}))
    key.write_text(pem(ec.generate_private_key(ec.SECP256R1())))
    files = {"fcm_credentials": account, "apns_key": key, "expo": False}
    with pytest.raises(CredentialsUnreadable, match="team"):
        open_channels(Settings(**car_settings | files | {"fcm_credentials": None}), lambda: 0.0)
    ids = {"apns_key_id": "KEYID", "apns_team_id": "TEAMID"}
    channels = open_channels(Settings(**car_settings | files | ids), lambda: 0.0)
    assert list(channels) == ["gcm", "apns"]
    for channel in channels.values():
        await channel.close()
