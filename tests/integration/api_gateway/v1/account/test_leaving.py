"""The trail of what was done, taking all data along, and erasing them."""

import json
from datetime import UTC, datetime

import pytest

from api_gateway.v1.account.audit import Trail
from fixtures.gateway import Gateway, send_message, send_record
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of
from ovms.db.export import OF_OWNER, OF_VEHICLE
from ovms.db.tables import metadata

AUDIT, EXPORT, ACCOUNT = "/api/v1/account/audit", "/api/v1/account/export", "/api/v1/account"
MARK = "Zanzibar"
"""What nobody else has in anything."""


async def test_the_trail_is_read_in_pages(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        for number in range(5):
            await client.patch(ACCOUNT, json={"email": f"{number}@example.org"})
        await client.put("/api/v1/vehicles/DEMO/shares/other", json={"scopes": ["read"]})
        first = await client.get(AUDIT, params={"limit": 4})
        Trail.model_validate_json(first.content, strict=True)
        second = await client.get(AUDIT, params={"limit": 4, "before": first.json()["next"]})
        for wrong in ({"limit": 0}, {"limit": 501}, {"before": 0}, {"before": "x"}):
            answer = await client.get(AUDIT, params=wrong)
            assert refused(answer) == (422, "invalid-request")
            assert answer.json()["errors"][0]["pointer"] == f"#/query/{next(iter(wrong))}"
    newest = first.json()["items"][0]
    assert (newest["actor"], newest["means"], newest["action"], newest["vehicle"]) == ("demo", "password", "share.put", "DEMO")
    assert newest["detail"] == {"with": "other", "scopes": ["read"]}
    ids = [entry["id"] for answer in (first, second) for entry in answer.json()["items"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), second.json()["next"]) == (6, None)


async def fill(gateway: Gateway) -> None:
    """Something of an owner called by the mark in every table, and things of others that name him."""
    pool = gateway.pool
    await pool.execute("UPDATE owners SET name = $1, email = $1 || '@example.org' WHERE name = 'demo'", MARK)
    await pool.execute("UPDATE vehicles SET vehicle_id = $1 WHERE vehicle_id = 'DEMO'", MARK)
    await send_message(pool, MARK, f"S{MARK}")
    await send_message(pool, MARK, b"F\xff\xfe")
    await send_record(pool, MARK, f"*-{MARK}", 1, MARK, datetime.now(UTC))
    await send_record(pool, MARK, "*-OVM-Utilisation", 0, "12", datetime.now(UTC))
    vehicle, owner = await pool.fetchrow("SELECT id, owner_id FROM vehicles WHERE vehicle_id = $1", MARK)
    later = "now() + interval '1 day'"
    await pool.execute(f"INSERT INTO samples VALUES ($1, 'L', now(), $2, {later})", vehicle, MARK.encode())
    await pool.execute("INSERT INTO state_history VALUES ($1, 'D', now(), $2)", vehicle, MARK.encode())
    await pool.execute("INSERT INTO push_subscriptions VALUES ($1, $2, 'mail', '', 'a@b', now(), 'a@b')", vehicle, MARK)
    await pool.execute(
        "INSERT INTO push_outbox (vehicle, app_id, message, created_at) VALUES ($1, $2, $3, now())",
        vehicle, MARK, MARK.encode(),
    )  # fmt: skip
    await pool.execute("INSERT INTO mail_addresses (owner_id, address) VALUES ($1, $2)", owner, f"{MARK}@example.org".lower())
    await pool.execute("INSERT INTO enciphered_configurations VALUES ($1, $2, 't', 'd', 'r')", MARK, owner)
    await pool.execute("INSERT INTO reference_owners VALUES (7, $1)", owner)
    await pool.execute("INSERT INTO reference_positions VALUES ($1, $2, 1, 'then', false)", vehicle, MARK.encode())
    await pool.execute("INSERT INTO silence_notices (vehicle, hours) VALUES ($1, 24)", vehicle)
    await pool.execute("INSERT INTO reserved_vehicle_ids VALUES (sha256('X'), $1, now())", owner)
    await pool.execute("INSERT INTO autoprovision VALUES ($1, $2, 'x', 'k', 'x', 'k')", MARK, owner)
    await pool.execute(
        f"""INSERT INTO commands (id, vehicle, actor_id, actor, means, kind, number, arguments, waits, expires_at)
            SELECT gen_random_uuid(), id, $1, $2, 'password', 'lock', 20, '{{"n": 1}}', false, {later} FROM vehicles
            WHERE vehicle_id = ANY($3)""",
        owner, MARK, [MARK, "OTHER2"],
    )  # fmt: skip
    async with gateway.client(auth=(MARK, DEMO[1])) as owner_calls, gateway.client(auth=OTHER) as other:
        await owner_calls.put(f"/api/v1/vehicles/{MARK}/shares/other", json={"scopes": ["read"]})
        await other.put(f"/api/v1/account/shares/{MARK}")
        await owner_calls.put(f"/api/v1/vehicles/{MARK}/shares/nobody", json={"scopes": ["read"]})
        await other.put(f"/api/v1/vehicles/OTHER1/shares/{MARK}", json={"scopes": ["read"]})
        await owner_calls.put("/api/v1/account/shares/OTHER1")
        await owner_calls.delete(f"/api/v1/vehicles/OTHER1/shares/{MARK}")
        await other.put(f"/api/v1/vehicles/OTHER2/shares/{MARK}", json={"scopes": ["read"]})
        await owner_calls.put("/api/v1/account/shares/OTHER2")
        await other.put(f"/api/v1/vehicles/OTHER1/shares/{MARK}", json={"scopes": ["read"]})
    await token_of(gateway, (MARK, DEMO[1]), "read", application=MARK)
    await token_of(gateway, OTHER, "read", vehicles=[MARK, "OTHER1"])


async def tables_with(gateway: Gateway, text: str) -> set[str]:
    """The tables that have this text somewhere, in any spelling, bytes among them."""
    found = set()
    for (table,) in await gateway.pool.fetch(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition"
    ):
        rows = await gateway.pool.fetch(f"SELECT * FROM {table}")
        if any(text.lower() in str(row).lower() for row in rows):
            found.add(table)
    return found


async def test_an_account_that_is_erased_leaves_no_trace_in_any_table(gateway: Gateway) -> None:
    await fill(gateway)
    # A table that is new must be filled above, so that it is found here too.
    assert await tables_with(gateway, MARK) | {"shares", "reference_owners", "reserved_vehicle_ids", "silence_notices"} == set(
        metadata.tables
    )
    owner = await gateway.pool.fetchval("SELECT id FROM owners WHERE name = $1", MARK)
    keys = "SELECT id FROM vehicles WHERE owner_id = (SELECT id FROM owners WHERE name = $1)"
    vehicles = [row[0] for row in await gateway.pool.fetch(keys, MARK)]
    async with gateway.client(auth=(MARK, DEMO[1])) as client, gateway.client() as cookie, gateway.client(auth=OTHER) as other:
        await cookie.get("/api/cookie", params={"username": MARK, "password": DEMO[1]})
        wrong = await client.request("DELETE", ACCOUNT, json={"password": "wrong"})
        assert refused(wrong) == (403, "password-wrong")
        assert (await client.request("DELETE", ACCOUNT, json={"password": DEMO[1]})).status_code == 204
        for gone in (client, cookie):
            assert (await gone.get("/api/vehicles")).status_code == 401
        assert [one["id"] for one in (await other.get("/api/v1/vehicles")).json()["items"]] == ["OTHER1", "OTHER2"]
        assert (await other.get(AUDIT)).json()["items"]
    assert await tables_with(gateway, MARK) == set()
    for table in metadata.tables.values():
        if "vehicle" in table.columns:
            assert await gateway.pool.fetchval(f"SELECT count(*) FROM {table.name} WHERE vehicle = ANY($1)", vehicles) == 0
        if "owner_id" in table.columns:
            assert await gateway.pool.fetchval(f"SELECT count(*) FROM {table.name} WHERE owner_id = $1", owner) == 0
    assert [key async for key in gateway.redis.scan_iter("ovms:{owner:*")] == []


async def test_an_export_has_all_of_it_and_no_secret(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovms.db.export.PAGE", 1)
    await fill(gateway)
    async with gateway.client(auth=(MARK, DEMO[1])) as client:
        answer = await client.get(EXPORT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert rows.pop() == {"kind": "end", "rows": len(rows)}
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in (row["kind"] for row in rows)}
    assert by_kind.keys() == {part.kind for part in (*OF_OWNER, *OF_VEHICLE)}
    assert {part.table for part in (*OF_OWNER, *OF_VEHICLE)} == set(metadata.tables), "a table is not exported"
    assert [row["data"] for row in by_kind["message"]] == [{"base64": "//4="}, MARK]
    assert [row["record_type"] for row in by_kind["record"]] == ["*-OVM-Utilisation", f"*-{MARK}"]
    assert [row["vehicle"] for row in by_kind["vehicle"]] == ["Second", MARK]
    assert by_kind["audit"][0]["detail"]
    assert [row["vehicle"] for row in by_kind["command"] + by_kind["command_to_others"]] == [MARK, "OTHER2"]
    assert by_kind["command"][0]["arguments"] == {"n": 1}
    hashes = await gateway.pool.fetch("SELECT password_hash FROM owners UNION SELECT encode(sha256, 'hex') FROM api_tokens")
    for secret in (*(row[0] for row in hashes), "sealed", "argon2", "OTHER1@"):
        assert secret not in answer.text


async def test_who_may_do_less_takes_nothing_along_and_erases_nothing(gateway: Gateway) -> None:
    few = await token_of(gateway, DEMO, "read", "location", "history", "control")
    one = await token_of(gateway, DEMO, "admin", vehicles=["DEMO"])
    for token in (few, one):
        async with bearer(gateway, token) as client:
            for answer in (
                await client.get(AUDIT),
                await client.get(EXPORT),
                await client.request("DELETE", ACCOUNT, json={"password": DEMO[1]}),
            ):
                assert refused(answer) == (403, "insufficient-rights")
    async with bearer(gateway, await token_of(gateway, DEMO, "admin")) as client:
        assert refused(await client.request("DELETE", ACCOUNT, json={})) == (422, "invalid-request")
        assert (await client.get(EXPORT)).status_code == 200
