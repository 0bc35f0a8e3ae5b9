"""Location, charge, doors and tyres over HTTP."""

from datetime import UTC, datetime

import httpx

from api_gateway.v1.vehicle.subjects import CHARGE, DOORS, LOCATION, TyresAnswer
from fixtures.gateway import Gateway, send_message, send_sample, token_header

VEHICLE = "/api/v1/vehicles/DEMO"
SENT = {
    "location": "L22.274165,114.185715,124,34,1,1,88,1234",
    "charge": "S75.5,M,230,16,charging,standard,280,251,16,93,0,43",
    "doors": "D213,216,4,45,40,22,1234,456789,88",
    "tyres": "Y4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,1",
}
DEMO = ("demo", "secret")


async def test_values_units_and_ages(gateway: Gateway) -> None:
    for message in SENT.values():
        await send_message(gateway.pool, "DEMO", message, age=10)
    async with gateway.client(auth=DEMO) as client:
        found = {name: (await client.get(f"{VEHICLE}/{name}")).json() for name in SENT}
    for view in (LOCATION, CHARGE, DOORS):
        view.model().model_validate(found[view.name]["values"])
        assert found[view.name]["received_at"].endswith("Z")
        assert found[view.name]["age"] in (10, 11)
    TyresAnswer.model_validate(found["tyres"])
    assert found["location"]["values"]["latitude"] == 22.274165
    assert found["location"]["units"]["speed"] == "mph"
    assert (found["charge"]["values"]["charge_state"], found["charge"]["values"]["charging"]) == ("charging", True)
    assert (found["doors"]["values"]["locked"], found["doors"]["values"]["front_right_door"]) == (True, False)
    assert [tyre["pressure"] for tyre in found["tyres"]["values"]] == [250, 251.5, 240, 241]


async def test_what_the_caller_has_is_not_sent_again(gateway: Gateway) -> None:
    for message in SENT.values():
        await send_message(gateway.pool, "DEMO", message)
    async with gateway.client(auth=DEMO) as client:
        for name in SENT:
            first = await client.get(f"{VEHICLE}/{name}")
            known = {"If-None-Match": first.headers["etag"]}
            again = await client.get(f"{VEHICLE}/{name}", headers=known)
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
            await gateway.pool.execute("UPDATE messages SET received_at = received_at + interval '2 s'")
            assert (await client.get(f"{VEHICLE}/{name}", headers=known)).status_code == 200


async def test_a_module_without_a_position_does_not_replace_the_known_place(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "L0,0,0,0,0,0,0")
    await send_message(gateway.pool, "DEMO", "S80,K")
    paths = (f"{VEHICLE}/location", f"{VEHICLE}/state", f"{VEHICLE}/state/metrics")
    async with gateway.client(auth=DEMO) as client:

        async def places() -> list[tuple[float | None, float | None]]:
            location, state, metrics = [(await client.get(path)).json() for path in paths]
            records = (location["values"], state["records"]["location"]["values"])
            metric = {name: each["value"] for name, each in metrics["metrics"].items()}
            found = [(values["latitude"], values["longitude"]) for values in records]
            return [*found, (metric["v.p.latitude"], metric["v.p.longitude"])]

        assert await places() == [(None, None)] * 3
        await send_sample(gateway.pool, "DEMO", "L22.2,114.1,0,0,1,1,50", datetime.now(UTC))
        assert await places() == [(22.2, 114.1)] * 3
        # The parking place, which a module keeps over a restart.
        await gateway.pool.execute("UPDATE messages SET data = '22.3,114.3,0,0,0,0,0' WHERE code = 'L'")
        assert await places() == [(22.3, 114.3)] * 3
        legacy = (await client.get("/api/location/DEMO", params={"username": "demo", "password": "secret"})).json()
        assert (legacy["latitude"], legacy["gpslock"]) == ("22.3", "0")


async def test_never_sent_sealed_and_unknown(gateway: Gateway) -> None:
    async def problem(client: httpx.AsyncClient, path: str) -> tuple[int, str]:
        answer = await client.get(f"/api/v1/vehicles/{path}", headers={"If-None-Match": "*"})
        return answer.status_code, answer.json()["type"].removeprefix("/api/v1/problems/")

    async with gateway.client(auth=DEMO) as client:
        for name in SENT:
            assert await problem(client, f"DEMO/{name}") == (404, "nothing-received")
            assert await problem(client, f"OTHER1/{name}") == (404, "vehicle-unknown")
        for message in SENT.values():
            await send_message(gateway.pool, "DEMO", message[0] + "c2VhbGVk", paranoid_token="key")
        for name in SENT:
            assert await problem(client, f"DEMO/{name}") == (502, "paranoid-vehicle")


SCOPES = {
    "read": {"charge", "doors", "tyres"},
    "location": {"location"},
    "history": set(),
    "control": set(),
    "admin": set(SENT),
    "auth": set(SENT),
}


async def test_each_needs_its_scope(gateway: Gateway) -> None:
    for message in SENT.values():
        await send_message(gateway.pool, "DEMO", message)
    for permit, allowed in SCOPES.items():
        async with gateway.client(headers=await token_header(gateway, permit)) as client:
            statuses = {name: (await client.get(f"{VEHICLE}/{name}")).status_code for name in SENT}
        assert statuses == {name: 200 if name in allowed else 403 for name in SENT}, permit
