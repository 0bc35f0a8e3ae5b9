"""What `ovms` revokes ends open streams at once: re-checks are an hour apart here, so only the channel can have ended them."""

import asyncio
from pathlib import Path

import pytest

from api_gateway.settings import Settings
from fixtures.command import Command
from fixtures.gateway import Gateway, gateway, send_message, token_header
from fixtures.streams import reading
from ovms.bus.channels import revocations_channel
from ovms.bus.client import open_redis
from ovms.db.engine import Pool
from ovms.db.tokens import hash_token
from ovms.local.ports import free_port
from ovms.local.valkey import Valkey

__all__ = ["gateway"]

WITHIN = 10.0


@pytest.fixture
def gateway_settings(database_url: str, redis_url: str, secret_keys: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, secret_keys=secret_keys, event_heartbeat=3600)


@pytest.mark.parametrize(
    ("command", "typed", "reason"),
    [
        (("token", "remove", "demo", "TOKEN", "--yes"), "", "Authentication failed"),
        (("owner", "password", "demo"), "correct horse\n", "Authentication failed"),
        (("owner", "remove", "demo", "--yes"), "", "Authentication failed"),
        (("vehicle", "remove", "DEMO", "--yes"), "", "Vehicle unknown"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
async def test_a_stream_ends_with_what_an_operator_revokes(
    gateway: Gateway, ovms: Command, command: tuple[str, ...], typed: str, reason: str
) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K")
    header = await token_header(gateway, "*")
    identifier = hash_token(header["Authorization"].removeprefix("Bearer ")).hex()[:16]
    signed_in = gateway.client(headers=header) if "TOKEN" in command else gateway.client(auth=("demo", "secret"))
    async with signed_in as client, reading(client, "/api/v1/vehicles/DEMO/events") as stream:
        await stream.until("state", code="S")
        words = [identifier if word == "TOKEN" else word for word in command]
        status, _, error = await asyncio.to_thread(ovms, *words, typed=typed)
        assert (status, error) == (0, "")
        async with asyncio.timeout(WITHIN):
            await stream.rest()
        assert stream.comments[-1] == reason


async def test_new_passwords_of_a_file_end_the_streams_of_their_owners(gateway: Gateway, ovms: Command, tmp_path: Path) -> None:
    file = tmp_path / "owners.json"
    file.write_text('{"owners": [{"name": "demo", "password": "correct horse"}]}')
    await send_message(gateway.pool, "DEMO", "S75,K")
    async with gateway.client(auth=("demo", "secret")) as client, reading(client, "/api/v1/vehicles/DEMO/events") as stream:
        await stream.until("state", code="S")
        assert (await asyncio.to_thread(ovms, "provision", str(file)))[0] == 0
        async with asyncio.timeout(WITHIN):
            await stream.rest()


async def test_without_redis_a_command_succeeds_and_prints_when_it_takes_effect(gateway: Gateway, ovms: Command) -> None:
    unavailable = f"redis://:hidden@127.0.0.1:{free_port()}"
    command = ("owner", "password", "demo")
    status, out, error = await asyncio.to_thread(ovms, *command, typed="correct horse\n", OVMS_REDIS_URL=unavailable)
    assert (status, out) == (0, "password of owner demo changed\n")
    assert error == (
        "ovms: Redis (OVMS_REDIS_URL) is unavailable (ConnectionError): open event streams and app connections end at their "
        "next re-check, within 15 s\n"
    )
    assert await gateway.pool.fetchval("SELECT count(*) FROM owners WHERE password_hash LIKE '$argon2%'") == 2


def test_an_address_that_is_not_of_a_redis_changes_nothing(ovms: Command) -> None:
    status, out, error = ovms("owner", "list", OVMS_REDIS_URL="http://127.0.0.1")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("ovms: OVMS_REDIS_URL: ")


async def test_the_redis_of_ovms_run_is_found_in_the_data_directory(ovms: Command, pool: Pool, tmp_path: Path) -> None:
    owner = await pool.fetchval("INSERT INTO owners (name, password_hash) VALUES ('demo', 'x') RETURNING id")
    server = Valkey(tmp_path / "data" / "valkey")
    server.start()
    try:
        async with open_redis(server.url) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(revocations_channel(owner))
            assert await subscription.get_message(timeout=WITHIN) is None  # subscribed
            command = ("owner", "password", "demo")
            assert await asyncio.to_thread(ovms, *command, typed="correct horse\n", OVMS_REDIS_URL="") == (
                0,
                "password of owner demo changed\n",
                "",
            )
            assert await subscription.get_message(timeout=WITHIN) is not None
    finally:
        server.stop()
