"""Adding, changing and removing vehicles."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.gateway import Gateway, send_message, send_record
from fixtures.streams import reading
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail
from fixtures.visitors import becomes
from ovms.db.sealing import Sealer
from ovms.db.vehicles import find_vehicle

VEHICLES = "/api/v1/vehicles"
NEW = {"id": "NewCar", "password": "of the module"}


async def password_of(gateway: Gateway, secret_keys: str, vehicle_id: str) -> bytes:
    async with gateway.pool.acquire() as connection:
        vehicle = await find_vehicle(connection, vehicle_id)
    assert vehicle is not None
    return vehicle.open_password(Sealer.from_setting(secret_keys))


async def test_a_vehicle_is_added_and_its_password_changed(gateway: Gateway, secret_keys: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        added = await client.post(VEHICLES, json=NEW)
        assert (added.status_code, added.json(), added.headers["location"]) == (201, {"id": "NewCar"}, f"{VEHICLES}/NewCar")
        assert (await client.get(added.headers["location"])).json()["owner"] == "demo"
        assert await password_of(gateway, secret_keys, "newcar") == b"of the module"
        changed = await client.put(f"{VEHICLES}/NEWCAR/password", json={"password": "gehört zum Auto"})
        assert (changed.status_code, changed.content) == (204, b"")
    assert await password_of(gateway, secret_keys, "NewCar") == "gehört zum Auto".encode()
    assert await trail(gateway) == [("demo", "vehicle.create", "NewCar"), ("demo", "vehicle.password", "NewCar")]
    kept = str(await gateway.pool.fetch("SELECT * FROM audit")) + gateway.log.getvalue().decode()
    assert "of the module" not in kept
    assert "zum Auto" not in kept


async def test_an_id_is_one_over_all_owners(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        mine = await client.post(VEHICLES, json={**NEW, "id": "demo"})
        theirs = await client.post(VEHICLES, json={**NEW, "id": "Other1"})
    assert refused(mine) == refused(theirs) == (409, "vehicle-id-taken")
    assert mine.json() == theirs.json()
    assert await trail(gateway) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"password": "of the module"}, "#/id"),
        ({**NEW, "id": ""}, "#/id"),
        ({**NEW, "id": "a b"}, "#/id"),
        ({**NEW, "id": "A_B"}, "#/id"),
        ({**NEW, "id": "A.B"}, "#/id"),
        ({**NEW, "id": "--"}, "#/id"),
        ({**NEW, "id": "x" * 33}, "#/id"),
        ({**NEW, "id": "x\n"}, "#/id"),
        ({**NEW, "password": "short"}, "#/password"),
        ({**NEW, "password": "x" * 256}, "#/password"),
        ({**NEW, "password": "with\na line end"}, "#/password"),
        ({**NEW, "owner": "other"}, "#/owner"),
    ],
)
async def test_what_no_vehicle_can_be(gateway: Gateway, body: Any, pointer: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.post(VEHICLES, json=body)
    assert refused(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_vehicles_are_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_gateway.v1.account.registration.MOST_VEHICLES", 2)
    async with gateway.client(auth=DEMO) as client:
        assert refused(await client.post(VEHICLES, json=NEW)) == (409, "too-many")


async def test_a_removed_vehicle_leaves_nothing(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "S75")
    await send_record(gateway.pool, "DEMO", "X", 1, "x", datetime.now(UTC))
    await send_record(gateway.pool, "Second", "X", 1, "x", datetime.now(UTC))
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        await owner.put(f"{VEHICLES}/DEMO/shares/other", json={"scopes": ["read"]})
        await other.put("/api/v1/account/shares/DEMO")
        await owner.put(f"{VEHICLES}/DEMO/shares/nobody", json={"scopes": ["read"]})
        only = await token_of(gateway, OTHER, "read", vehicles=["DEMO"])
        both = await token_of(gateway, OTHER, "read", vehicles=["DEMO", "OTHER1"])
        link = (await owner.post(f"{VEHICLES}/DEMO/links", json={"expires_at": "2027-06-01T00:00:00Z"})).json()["path"]
        assert (await owner.delete(f"{VEHICLES}/demo")).status_code == 204
        for client in (owner, other):
            assert refused(await client.get(f"{VEHICLES}/DEMO/state")) == (404, "vehicle-unknown")
    for dead in (only, link.partition("#")[2]):
        async with bearer(gateway, dead) as client:
            assert (await client.get(VEHICLES)).status_code == 401
    async with bearer(gateway, both) as client:
        assert [one["id"] for one in (await client.get(VEHICLES)).json()["items"]] == ["OTHER1"]
    assert [row["vehicles"] for row in await gateway.pool.fetch("SELECT vehicles FROM api_tokens")] == [["OTHER1"]]
    assert await gateway.pool.fetchval("SELECT count(*) FROM messages") == 0
    assert await gateway.pool.fetchval("SELECT count(*) FROM shares") == 0
    assert await gateway.pool.fetchval("SELECT count(*) FROM share_offers") == 0
    assert await gateway.pool.fetchval("SELECT count(*) FROM history") == 1
    assert (await trail(gateway))[-1] == ("demo", "vehicle.delete", "DEMO")


async def test_a_removed_id_is_reserved_for_its_former_owner(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        assert (await owner.delete(f"{VEHICLES}/DEMO")).status_code == 204
        for spelling in ("DEMO", "demo"):
            rejected = await other.post(VEHICLES, json={**NEW, "id": spelling})
            assert refused(rejected) == (409, "vehicle-id-taken")
        taken = await other.post(VEHICLES, json={**NEW, "id": "Second"})
        assert {**rejected.json(), "instance": ""} == {**taken.json(), "instance": ""}
        assert (await owner.post(VEHICLES, json={**NEW, "id": "Demo"})).status_code == 201
        assert (await owner.delete(f"{VEHICLES}/DEMO")).status_code == 204
        await gateway.pool.execute("UPDATE reserved_vehicle_ids SET until = now()")
        assert (await other.post(VEHICLES, json={**NEW, "id": "DEMO"})).status_code == 201
    assert await gateway.pool.fetchval("SELECT count(*) FROM reserved_vehicle_ids") == 0


async def test_of_a_removal_and_an_addition_at_once_no_other_owner_gets_the_id(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        for _ in range(5):
            adding = [other.post(VEHICLES, json={**NEW, "id": "DEMO"}) for _ in range(5)]
            removed, *answers = await asyncio.gather(owner.delete(f"{VEHICLES}/DEMO"), *adding)
            assert removed.status_code == 204
            assert {answer.status_code for answer in answers} == {409}
            assert (await owner.post(VEHICLES, json={**NEW, "id": "DEMO"})).status_code == 201


async def test_a_stream_delivers_nothing_of_a_removed_vehicle(gateway: Gateway) -> None:
    async def subscribers() -> int:
        [(_, count)] = await gateway.redis.pubsub_numsub("ovms:{DEMO}:1:messages")
        return int(count)

    async with gateway.client(auth=DEMO) as owner, reading(owner, f"{VEHICLES}/DEMO/events") as stream:
        await stream.until("presence")
        assert await subscribers() == 1
        assert (await owner.delete(f"{VEHICLES}/DEMO")).status_code == 204
        await becomes(subscribers, 0, 5)  # checks of who may read come every 15 seconds


async def test_the_ids_of_an_erased_account_are_reserved_for_nobody(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        erased = await owner.request("DELETE", "/api/v1/account", json={"password": DEMO[1]})
        assert erased.status_code == 204
        assert refused(await other.post(VEHICLES, json={**NEW, "id": "DEMO"})) == (409, "vehicle-id-taken")


async def test_reserved_ids_count_as_vehicles(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    count = await gateway.pool.fetchval("SELECT count(*) FROM vehicles JOIN owners ON owners.id = owner_id WHERE name = 'demo'")
    monkeypatch.setattr("api_gateway.v1.account.registration.MOST_VEHICLES", count + 1)
    async with gateway.client(auth=DEMO) as client:
        assert (await client.post(VEHICLES, json=NEW)).status_code == 201
        assert (await client.delete(f"{VEHICLES}/NewCar")).status_code == 204
        assert refused(await client.post(VEHICLES, json={**NEW, "id": "Another"})) == (409, "too-many")
        assert (await client.post(VEHICLES, json=NEW)).status_code == 201


async def test_only_the_owner_with_all_rights_changes_vehicles(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client(auth=OTHER) as other:
        await owner.put(f"{VEHICLES}/DEMO/shares/other", json={"scopes": ["read", "location", "history", "control"]})
        await other.put("/api/v1/account/shares/DEMO")
    few = await token_of(gateway, DEMO, "read", "location", "history", "control")
    one = await token_of(gateway, DEMO, "admin", vehicles=["DEMO"])
    password = {"password": "of the module"}
    async with gateway.client(auth=OTHER) as other, bearer(gateway, few) as token, bearer(gateway, one) as restricted:
        for client in (other, token):
            assert refused(await client.put(f"{VEHICLES}/DEMO/password", json=password)) == (403, "insufficient-rights")
            assert refused(await client.delete(f"{VEHICLES}/DEMO")) == (403, "insufficient-rights")
        for client in (token, restricted):
            assert refused(await client.post(VEHICLES, json=NEW)) == (403, "insufficient-rights")
        assert refused(await other.delete(f"{VEHICLES}/Second")) == (404, "vehicle-unknown")
        assert refused(await restricted.delete(f"{VEHICLES}/Second")) == (404, "vehicle-unknown")
        assert (await restricted.put(f"{VEHICLES}/DEMO/password", json=password)).status_code == 204
    async with gateway.client() as nobody:
        assert refused(await nobody.post(VEHICLES, json=NEW)) == (401, "authentication-failed")
        assert refused(await nobody.delete(f"{VEHICLES}/DEMO")) == (401, "authentication-failed")
