"""`ovms rotate-key`, on a real database: everything sealed anew, interrupted, disturbed and with wrong keys."""

from __future__ import annotations

import asyncio
import base64
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import PASSWORD, add_vehicles, car_service_on
from fixtures.command import Command
from fixtures.waiting import until_told
from ovms.admin.rotation import rotate
from ovms.admin.target import Target
from ovms.db import commands as rows
from ovms.db.autoprovision import find_configurations, put_configuration
from ovms.db.commands import New, message_context
from ovms.db.engine import Pool
from ovms.db.owners import Owner
from ovms.db.rotation import COLUMNS, STEP
from ovms.db.sealing import Sealer
from ovms.db.tables import metadata
from ovms.db.vehicles import change_vehicle_password

NEW = f"new:{base64.b64encode(bytes(range(32, 64))).decode()}"
WRONG = f"test:{base64.b64encode(bytes(range(64, 96))).decode()}"
MESSAGE = b"C5,1234"
WAITS = "wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def both(secret_keys: str) -> str:
    return f"{NEW},{secret_keys}"


async def queue_command(pool: Pool, sealer: Sealer, vehicle: int, *, idempotency_key: str | None = None) -> None:
    command_id = uuid.uuid4()
    key_id, message = sealer.seal(MESSAGE, context=message_context(command_id))
    owner = await pool.fetchval("SELECT owner_id FROM vehicles WHERE id = $1", vehicle)
    about = (vehicle, owner, "anna", "password", "text", 7, {}, message, key_id, 60.0)
    marked_with, mark = sealer.mark(MESSAGE, context="request")
    marked = {"idempotency_key": idempotency_key, "request_mark": mark, "request_key_id": marked_with}
    await rows.add(pool, New(command_id, *about, waits=True, **(marked if idempotency_key else {})))


async def fill(pool: Pool, keys: str) -> list[int]:
    """A secret of each kind."""
    sealer = Sealer.from_setting(keys)
    vehicles = await add_vehicles(pool, keys, "EV1", "ev2")
    owner = Owner(await pool.fetchval("SELECT id FROM owners"), "anna", "", "none")
    async with pool.acquire() as connection:
        await put_configuration(connection, owner, "VIN1", secret=b"8944", record=b"- NETPASS", sealer=sealer)
    await queue_command(pool, sealer, vehicles[0])
    return vehicles


async def passwords(pool: Pool, keys: str) -> list[bytes]:
    sealer = Sealer.from_setting(keys)
    found = await pool.fetch("SELECT vehicle_id, password, password_key_id FROM vehicles ORDER BY id")
    return [sealer.open(key_id, password, context=vehicle_id.upper()) for vehicle_id, password, key_id in found]


def test_every_column_that_names_a_key_is_gone_through() -> None:
    named = {(table.name, column.name) for table in metadata.tables.values() for column in table.columns}
    marks = {("commands", "request_key_id")}
    gone_through = {(column.key_column.table.name, column.key_column.name) for column in COLUMNS}
    assert {(table, name) for table, name in named if name.endswith("key_id")} == gone_through | marks


async def test_everything_is_sealed_anew_and_opens_under_the_new_key_alone(
    pool: Pool, database_url: str, secret_keys: str, both: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(pool, secret_keys)
    await rotate(Target(database_url, both), is_trial=False)
    assert capsys.readouterr().out.splitlines() == [
        "passwords of vehicles: 2 sealed anew under 'new'",
        "secrets of configurations: 1 sealed anew under 'new'",
        "parameters of configurations: 1 sealed anew under 'new'",
        "messages of commands: 1 sealed anew under 'new'",
        "key 'test' is no longer needed, unless a service seals with it still",
    ]
    assert await passwords(pool, NEW) == [PASSWORD, PASSWORD]
    sealer = Sealer.from_setting(NEW)
    assert (await find_configurations(pool, ["VIN1"]))["VIN1"].open(sealer) == (b"8944", b"- NETPASS")
    [(command_id, message)] = await pool.fetch("SELECT id, message FROM commands")
    assert sealer.open("new", message, context=message_context(command_id)) == MESSAGE


def test_a_check_changes_nothing(ovms: Command, secret_keys: str, both: str, database_url: str) -> None:
    ovms("owner", "add", "anna", typed="geheim 1")
    ovms("vehicle", "add", "EV1", "--owner", "anna", typed="NETPASS1")
    for _ in range(2):
        status, out, err = ovms("rotate-key", "--check", OVMS_SECRET_KEYS=both)
        assert (status, out, err) == (0, "key 'test' is needed: passwords of vehicles (1)\n", "")
    assert ovms("rotate-key", OVMS_SECRET_KEYS=both)[0] == 0
    assert ovms("rotate-key", "--check", OVMS_SECRET_KEYS=NEW) == (0, "", "")


async def test_what_idempotency_keys_stand_for_needs_the_old_key_for_a_day(
    pool: Pool, database_url: str, secret_keys: str, both: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [vehicle, _] = await fill(pool, secret_keys)
    await queue_command(pool, Sealer.from_setting(secret_keys), vehicle, idempotency_key="once")
    await rotate(Target(database_url, both), is_trial=False)
    [(taken,)] = await pool.fetch("SELECT created_at FROM commands WHERE idempotency_key IS NOT NULL")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("key 'test' is needed: idempotency keys (1), until ")
    assert f"{taken:%H:%M} UTC" in last

    await pool.execute("UPDATE commands SET created_at = created_at - interval '25 hours'")
    await rotate(Target(database_url, both), is_trial=False)
    assert capsys.readouterr().out.splitlines()[-1].startswith("key 'test' is no longer needed")


@pytest.mark.parametrize(("keys", "word"), [(f"{NEW},{WRONG}", ""), (NEW, ", and missing")], ids=["wrong", "missing"])
async def test_what_does_not_open_stays_and_is_told(ovms: Command, pool: Pool, secret_keys: str, keys: str, word: str) -> None:
    await fill(pool, secret_keys)
    status, out, err = await asyncio.to_thread(ovms, "rotate-key", OVMS_SECRET_KEYS=keys)
    assert status == 1
    assert f"key 'test' is needed{word}: passwords of vehicles (2), secrets of configurations (1), " in out
    assert "no longer needed" not in out
    assert err == (
        "ovms: not everything opens, and that stays as it was: passwords of vehicles under 'test' (2), "
        "secrets of configurations under 'test' (1), parameters of configurations under 'test' (1), "
        "messages of commands under 'test' (1)\n"
    )
    assert await passwords(pool, secret_keys) == [PASSWORD, PASSWORD]


async def test_a_password_that_is_changed_meanwhile_stays_changed(
    pool: Pool, database_url: str, secret_keys: str, both: str
) -> None:
    [vehicle, _] = await fill(pool, secret_keys)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        sealer = Sealer.from_setting(secret_keys)
        await change_vehicle_password(connection, vehicle, "EV1", password=b"NEWER", sealer=sealer)
        rotation = asyncio.create_task(rotate(Target(database_url, both), is_trial=False))
        await until_waits_for_a_lock(pool)
        await transaction.commit()
    await rotation
    assert await passwords(pool, both) == [b"NEWER", PASSWORD]
    await rotate(Target(database_url, both), is_trial=False)
    assert await passwords(pool, NEW) == [b"NEWER", PASSWORD]


async def test_a_rotation_that_is_killed_goes_on_where_it_was(
    pool: Pool, database_url: str, secret_keys: str, both: str, tmp_path: Path
) -> None:
    count = STEP + 2
    keys = await add_vehicles(pool, secret_keys, *(f"EV{number}" for number in range(count)))
    environment = {"OVMS_DATABASE_URL": database_url, "OVMS_SECRET_KEYS": both}
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM vehicles WHERE id = $1 FOR UPDATE", keys[-1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from ovms.admin.cli import main; main(['rotate-key'])"), env=environment, cwd=tmp_path
        )
        await until_waits_for_a_lock(pool)
        process.kill()
        await process.wait()
        # PostgreSQL would go on with a statement whose asker has died while it waits.
        await pool.fetchval(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITS}")
        await transaction.rollback()
    by_key = dict(await pool.fetch("SELECT password_key_id, count(*) FROM vehicles GROUP BY 1"))
    assert by_key == {"new": STEP, "test": 2}
    assert await passwords(pool, both) == [PASSWORD] * count

    await rotate(Target(database_url, both), is_trial=False)
    assert await passwords(pool, NEW) == [PASSWORD] * count


async def test_cars_come_in_while_secrets_are_sealed_anew(
    car_settings: dict[str, Any], pool: Pool, database_url: str, secret_keys: str, both: str
) -> None:
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    async with car_service_on(Settings(**(car_settings | {"secret_keys": both})), pool) as service:
        await service.car("DEMO")
        await rotate(Target(database_url, both), is_trial=False)
        await service.car("DEMO")
        await service.car("Other-1")
    async with car_service_on(Settings(**(car_settings | {"secret_keys": NEW})), pool) as service:
        await service.car("DEMO")


async def until_waits_for_a_lock(pool: Pool) -> None:
    await until_told(pool, f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {WAITS})")
