"""The commands of docs/backup.md, as they stand there, on a database that a car and its owner have filled."""

import asyncio
import io
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import redis.asyncio

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings
from fixtures.cars import add_vehicles, car_service_on
from fixtures.gateway import running
from fixtures.servers import libpq_environment
from fixtures.waiting import until_told
from ovms.db.autoprovision import find_configurations, put_configuration
from ovms.db.engine import Pool, open_pool
from ovms.db.owners import find_owner
from ovms.db.passwords import hash_password
from ovms.db.sealing import Sealer
from ovms.local.ports import free_port
from ovms.local.programs import postgresql_programs

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
OWNER, PASSWORD = "demo", "u5er-pa55word"
STATE = b"S80,K,230,16,charging,standard,300,280,16,600,0,0,0,0,4,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
NEWER = STATE.replace(b"S80,", b"S81,")
RECORD = b"H*-LOG-Trip,1,86400,a trip"
ASKED = (
    "/api/status/DEMO",
    "/api/location/DEMO",
    "/api/v1/vehicles/DEMO/history/*-LOG-Trip",
    "/api/v1/vehicles/DEMO/track",
    "/api/v1/account",
)
# What is told of the moment, and not of the vehicle.
OF_THE_MOMENT = re.compile(r'"(?:m_msgage_[a-z]|age|[a-z_]*connected|connections|last_used_at|[a-z_]*_age)"\s*:\s*[^,}]+')


async def run(commands: str, directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run lines of the page in a shell: (exit status, all that they print)."""
    path = f"{postgresql_programs()}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-euc", commands),
        cwd=directory,
        env={"PATH": path, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await shell.communicate()
    assert shell.returncode is not None
    return shell.returncode, said.decode()


async def fill(pool: Pool, keys: str) -> None:
    """An owner with a vehicle, a configuration, and something that lies outside all months."""
    [vehicle] = await add_vehicles(pool, keys, "DEMO")
    hashed = await asyncio.to_thread(hash_password, PASSWORD)
    await pool.execute("UPDATE owners SET name = $1, password_hash = $2", OWNER, hashed)
    async with pool.acquire() as connection:
        owner = await find_owner(connection, OWNER)
        assert owner is not None
        await put_configuration(connection, owner, "VIN1", secret=b"8944", record=b"- x", sealer=Sealer.from_setting(keys))
    await pool.execute(
        "INSERT INTO history VALUES ($1, '*-LOG-Trip', 7, '2001-02-03', 'long ago', now() + interval '1 day', NULL)", vehicle
    )
    await pool.execute(
        "INSERT INTO push_subscriptions (vehicle, app_id, push_type, key_type, key, endpoint) "
        "VALUES ($1, 'phone', 'expo', 'production', 'device', '')",
        vehicle,
    )
    await pool.execute(
        "INSERT INTO push_outbox (vehicle, app_id, message, created_at, due_at) "
        "VALUES ($1, 'phone', 'A', now(), now() + interval '1 day')",
        vehicle,
    )


async def ask(gateway: GatewaySettings) -> list[str]:
    """What an owner is told."""
    async with (
        running(gateway, io.BytesIO()) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", auth=(OWNER, PASSWORD)) as client,
    ):
        answers = [await client.get(path) for path in ASKED]
    assert [answer.status_code for answer in answers] == [200] * len(ASKED)
    return [OF_THE_MOMENT.sub("", answer.text) for answer in answers]


async def tables(pool: Pool) -> dict[str, list[str]]:
    """Every row of every table, whichever partition it is in."""
    names = await pool.fetch(
        "SELECT relname FROM pg_class "
        "WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace"
    )
    return {name: [row[0] for row in await pool.fetch(f"SELECT t::text FROM {name} t ORDER BY 1")] for (name,) in names}


async def test_what_was_backed_up_comes_back(
    car_settings: dict[str, Any], pool: Pool, database_url: str, empty_database_url: str, redis_url: str, secret_keys: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    await fill(pool, secret_keys)
    stores = {"redis_url": redis_url, "secret_keys": secret_keys}
    async with car_service_on(Settings(**car_settings), pool) as service:
        car = await service.car()
        car.send(STATE, b"L22.28,114.16,131.4,36.1,1,1", RECORD)
        await car.drain()
        await service.written()
        await until_told(pool, "SELECT EXISTS (SELECT FROM samples WHERE code = 'L')")
        # While the services run.
        assert await run(BACKUP, tmp_path, libpq_environment(database_url)) == (0, "")
    told = await ask(GatewaySettings(database_url=database_url, **stores))
    assert "22.28" in told[1]
    assert "a trip" in told[2]

    environment = {"OVMS_DATABASE_URL": empty_database_url, "OVMS_SECRET_KEYS": secret_keys, "OVMS_DATA_DIR": "none"}
    environment |= libpq_environment(empty_database_url)
    assert await run(RESTORE, tmp_path, environment) == (0, "the database has the form of this version\n")
    other = environment | {"OVMS_SECRET_KEYS": "other:" + secret_keys.partition(":")[2]}
    missing = "key 'test' is needed, and missing: passwords of vehicles (1), secrets of configurations (1), "
    status, said = await run(RESTORE.splitlines()[-1], tmp_path, other)
    assert (status, said.startswith(missing)) == (0, True), said
    # Once more into the same database: nothing of it is mixed.
    status, said = await run(RESTORE, tmp_path, environment)
    assert status != 0
    assert "already exists" in said

    async with await open_pool(empty_database_url, size=4) as restored:
        before, after = await tables(pool), await tables(restored)
        assert before.pop("push_outbox")
        assert after.pop("push_outbox") == []
        assert {name for name, rows in after.items() if rows} >= {"owners", "vehicles", "messages", "history", "samples"}
        # The service has written its own sums after the dump.
        assert {name: rows for name, rows in after.items() if not set(rows) <= set(before[name])} == {}
        assert {name for name in after if after[name] != before[name]} <= {"history", "state_history"}

        async with redis.asyncio.Redis.from_url(redis_url) as emptied:
            await emptied.flushall()
        assert await ask(GatewaySettings(database_url=empty_database_url, **stores)) == told
        found = (await find_configurations(restored, ["VIN1"]))["VIN1"]
        assert found.open(Sealer.from_setting(secret_keys)) == (b"8944", b"- x")

        # A car comes in with its password, and what it says is newer than what came back.
        again = car_settings | {"database_url": empty_database_url, "health_port": free_port()}
        async with car_service_on(Settings(**again), restored) as service:
            car = await service.car()
            car.send(NEWER)
            await car.drain()
            await service.written()
            assert (await service.states())["S"] == NEWER[1:]
        [added] = await add_vehicles(restored, secret_keys, "NEW")
        assert added > max([row["id"] for row in await pool.fetch("SELECT id FROM vehicles")])
