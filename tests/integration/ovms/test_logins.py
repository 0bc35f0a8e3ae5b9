"""What a login reads."""

import time

from fixtures.cars import PASSWORD, add_vehicles
from ovms.db.engine import Pool
from ovms.db.logins import StoredMessage, find_messages, find_vehicles
from ovms.db.sealing import Sealer
from ovms.db.writer import StateRow, TokenRow, write_states, write_tokens


async def test_vehicles_are_found_by_their_folded_ids_and_keep_their_spelling(pool: Pool, secret_keys: str) -> None:
    demo, _, _ = await add_vehicles(pool, secret_keys, "DeMo", "other", "Third")
    found = await find_vehicles(pool, ["DEMO", "OTHER", "NOSUCHCAR", "DEMO"])
    assert sorted(found) == ["DEMO", "OTHER"]
    vehicle = found["DEMO"]
    assert (vehicle.key, vehicle.vehicle_id, vehicle.paranoid_token) == (demo, "DeMo", "")
    sealer = Sealer.from_setting(secret_keys)
    assert sealer.open(vehicle.password_key_id, vehicle.password, context="DEMO") == PASSWORD
    assert repr(vehicle.password) not in repr(vehicle)


async def test_nothing_is_found_of_nothing(pool: Pool) -> None:
    assert await find_vehicles(pool, []) == {}
    assert await find_messages(pool, []) == {}


async def test_messages_are_found_by_vehicle_and_code(pool: Pool, secret_keys: str) -> None:
    demo, other, silent = await add_vehicles(pool, secret_keys, "DEMO", "OTHER", "SILENT")
    now = round(time.time(), 3)
    await write_states(
        pool,
        [
            StateRow(demo, "S", b"1", now, 1, 7, None),
            StateRow(demo, "\xe4", b"\x00\xff", now - 5, 2, 1, None),
            StateRow(other, "S", b"", now, 3, 9, None),
        ],
    )
    found = await find_messages(pool, [demo, other, silent])
    assert found == {
        demo: {
            0x53: StoredMessage(b"S1", now, epoch=1, number=7),
            0xE4: StoredMessage(b"\xe4\x00\xff", now - 5, epoch=2, number=1),
        },
        other: {0x53: StoredMessage(b"S", now, epoch=3, number=9)},
        silent: {},
    }


async def test_sealed_messages_are_told_and_those_of_an_old_key_left_out(pool: Pool, secret_keys: str) -> None:
    [demo] = await add_vehicles(pool, secret_keys, "DEMO")
    now = round(time.time(), 3)
    await write_states(pool, [StateRow(demo, "S", b"old", now, 1, 1, "old"), StateRow(demo, "D", b"new", now, 1, 2, "new")])
    await write_tokens(pool, [TokenRow(demo, "new", 1)])
    assert await find_messages(pool, [demo]) == {demo: {0x44: StoredMessage(b"Dnew", now, "new", 1, 2)}}
    assert (await find_vehicles(pool, ["DEMO"]))["DEMO"].paranoid_token == "new"
