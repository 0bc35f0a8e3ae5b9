"""The typed API over HTTP: vehicles, state, and every way in which they refuse."""

import pytest

from api_gateway.v1.vehicle.presence import Vehicles
from api_gateway.v1.vehicle.state import MetricsAnswer, StateAnswer
from fixtures.gateway import Gateway, send_message

STATUS = "S75.5,M,230,16,charging,standard,280,251,16,93,0,43"
DOORS = "D213,216,4,45,40,22,1234,456789,88"
STATE = "/api/v1/vehicles/DEMO/state"
METRICS = f"{STATE}/metrics"
CALLS = ("/api/v1/vehicles/DEMO", STATE, METRICS)
DEMO = ("demo", "secret")


async def test_vehicles_and_who_is_connected(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        listed = await client.get("/api/v1/vehicles")
        one = await client.get("/api/v1/vehicles/demo")
    Vehicles.model_validate(listed.json(), strict=True)
    assert [vehicle["id"] for vehicle in listed.json()["items"]] == ["DEMO", "Second"]
    assert one.json() == {"id": "DEMO", "owner": "demo", "connected": False, "apps": 0, "batch_clients": 0}
    assert listed.headers["cache-control"] == "private, no-cache"


async def test_state_has_types_units_and_ages(gateway: Gateway) -> None:
    for message in (STATUS, DOORS):
        await send_message(gateway.pool, "DEMO", message, age=10)
    async with gateway.client(auth=DEMO) as client:
        answer = await client.get(STATE)
    StateAnswer.model_validate_json(answer.content)
    found = answer.json()
    assert found["sealed"] == []
    assert found["records"].keys() == {"state", "environment"}
    state = found["records"]["state"]
    assert (state["code"], state["values"]["soc"], state["values"]["charge_energy"]) == ("S", 75.5, 4.3)
    assert (state["values"]["charge_state"], state["values"]["soh"]) == ("charging", None)
    assert (state["units"]["soc"], state["units"]["ideal_range"]) == ("%", "mi")
    assert found["records"]["environment"]["units"]["odometer"] == "mi"
    assert found["records"]["environment"]["values"]["doors_1"] == 213
    assert state["received_at"].endswith("Z")
    assert state["age"] in (10, 11)


async def test_metrics_have_the_firmwares_names(gateway: Gateway) -> None:
    for message in (STATUS, DOORS):
        await send_message(gateway.pool, "DEMO", message)
    async with gateway.client(auth=DEMO) as client:
        answer = await client.get(METRICS)
    MetricsAnswer.model_validate_json(answer.content)
    metrics = answer.json()["metrics"]
    assert (metrics["v.b.soc"]["value"], metrics["v.b.soc"]["unit"]) == (75.5, "%")
    assert (metrics["v.p.odometer"]["value"], metrics["v.p.odometer"]["unit"]) == (45678.9, "mi")
    assert (metrics["v.e.on"]["value"], metrics["v.d.fr"]["value"]) == (True, False)


async def test_what_is_sealed_is_listed_and_hides_nothing_else(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", STATUS)
    await send_message(gateway.pool, "DEMO", "LEncryptedInBase64==", paranoid_token="token")
    async with gateway.client(auth=DEMO) as client:
        found = (await client.get(STATE)).json()
    assert found["records"].keys() == {"state"}
    assert [sealed["code"] for sealed in found["sealed"]] == ["L"]


async def test_a_vehicle_that_sent_nothing_has_an_empty_state(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        assert (await client.get(STATE)).json() == {"records": {}, "sealed": []}
        assert (await client.get(METRICS)).json() == {"metrics": {}, "sealed": []}


async def test_what_the_caller_has_is_not_sent_again(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", STATUS)
    async with gateway.client(auth=DEMO) as client:
        tag = (await client.get(STATE)).headers["etag"]
        again = await client.get(STATE, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "private, no-cache"
        await send_message(gateway.pool, "DEMO", DOORS)
        newer = await client.get(STATE, headers={"If-None-Match": tag})
        assert (newer.status_code, newer.headers["etag"] != tag) == (200, True)


@pytest.mark.parametrize("vehicle_id", ["OTHER1", "nobody", "a b", "x" * 33, "%00"])
async def test_a_vehicle_of_another_is_as_unknown_as_none(gateway: Gateway, vehicle_id: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answers = [await client.get(call.replace("DEMO", vehicle_id)) for call in CALLS]
    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {(404, "/api/v1/problems/vehicle-unknown")}


async def test_other_refusals_are_problems_too(gateway: Gateway) -> None:
    async with gateway.client() as client:
        nobody = [await client.get(call) for call in (*CALLS, "/api/v1/vehicles")]
        unknown = [await client.get("/api/v1/nothing"), await client.options("/api/v1/x"), await client.get("/api/v1")]
        method = await client.delete("/api/v1/vehicles")
    assert {(answer.status_code, answer.json()["title"]) for answer in nobody} == {(401, "Authentication failed")}
    assert {(answer.status_code, answer.json()["title"]) for answer in unknown} == {(404, "Unrecognised API call")}
    assert (method.status_code, method.json()["title"]) == (405, "Method not allowed")
    assert method.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    for answer in (*nobody, *unknown, method):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
