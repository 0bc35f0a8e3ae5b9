"""Calls that a car answers: the gateway, a real car-protocol, and a car."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from api_gateway.legacy.control import ADMIN, CALLS
from api_gateway.settings import Settings
from fixtures.cars import CarService, Peer
from fixtures.gateway import Gateway, running, send_message, token_header
from fixtures.waiting import until_told

PIN = "918273"
SECRET = "xyzzy7391"


async def exchange(car: Peer, call: Any, command: bytes, *said: bytes) -> httpx.Response:
    """Make a call; the car is told a command, and says something."""
    calling = asyncio.ensure_future(call)
    await car.until_hears(command)
    car.send(*said)
    answer: httpx.Response = await calling
    return answer


@pytest.mark.parametrize(
    ("said", "status", "result", "text"),
    [
        (b"c20,0,Car locked", 200, 0, "Car locked"),
        (b"c20,0", 200, 0, ""),
        (b"c20,1,Wrong, try again", 409, 1, "Wrong, try again"),
        (b"c20,2", 501, 2, ""),
        (b"c20,3,Later", 501, 3, "Later"),
    ],
)
async def test_the_car_answers(
    gateway: Gateway, car: Peer, owner: httpx.AsyncClient, said: bytes, status: int, result: int, text: str
) -> None:
    answer = await exchange(car, owner.put("/api/lock/car", params={"pin": PIN}), b"C20," + PIN.encode(), said)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json() == {"vehicleid": "CAR", "command": 20, "result": result, "text": text}
    assert PIN.encode() not in gateway.log.getvalue()


@pytest.mark.parametrize(
    "given",
    [
        {"params": {"action": "start"}},
        {"data": {"action": "start"}},
        {"json": {"action": "start"}},
        {"files": {"action": (None, b"start")}},
    ],
)
async def test_arguments_come_in_any_form(car: Peer, owner: httpx.AsyncClient, given: dict[str, Any]) -> None:
    answer = await exchange(car, owner.put("/api/charge/CAR", **given), b"C11", b"c11,0")
    assert answer.status_code == 200


async def test_arguments_are_numbers_of_json_too(car: Peer, owner: httpx.AsyncClient) -> None:
    calls = [
        (owner.put("/api/charge/CAR", json={"mode": 3, "current": 16}), b"C16,3,16", b"c16,0"),
        (owner.put("/api/feature/CAR", json={"feature": 15, "value": True}), b"C2,15,1", b"c2,0"),
        (owner.put("/api/lock/CAR", json={"pin": 1234}), b"C20,1234", b"c20,0"),
    ]
    for call, command, said in calls:
        assert (await exchange(car, call, command, said)).status_code == 200


async def test_a_list_is_many_answers(car: Peer, owner: httpx.AsyncClient) -> None:
    answer = await exchange(car, owner.get("/api/features/CAR"), b"C1", b"c1,0,0,3,a", b"c1,0,2,3,b,c")
    assert answer.json() == {
        "vehicleid": "CAR",
        "command": 1,
        "result": 0,
        "items": [
            {"number": 0, "value": "a", "available": True},
            {"number": 1, "value": None, "available": False},
            {"number": 2, "value": "b,c", "available": True},
        ],
    }


async def test_a_wrong_argument_is_refused_and_not_repeated(car: Peer, owner: httpx.AsyncClient) -> None:
    answer = await owner.put("/api/lock/CAR", params={"pin": "12x4"})
    assert (answer.status_code, answer.text) == (422, "Invalid argument pin: digits\n")
    assert await car.drain() == []


async def test_an_absent_car(service: CarService, owner: httpx.AsyncClient) -> None:
    answer = await owner.put("/api/wakeup/CAR")
    assert (answer.status_code, answer.text) == (503, "Vehicle is not connected\n")


async def test_a_paranoid_car_is_told_nothing(gateway: Gateway, car: Peer, owner: httpx.AsyncClient) -> None:
    await send_message(gateway.pool, "CAR", "Sabc", paranoid_token="token")
    assert (await owner.put("/api/lock/CAR")).status_code == 502
    assert await car.drain() == []


async def test_a_sealed_answer(car: Peer, owner: httpx.AsyncClient) -> None:
    answer = await exchange(car, owner.put("/api/lock/CAR"), b"C20,", b"EMcYWJj")
    assert answer.status_code == 502


async def test_a_silent_car(gateway: Gateway, gateway_settings: Settings, car: Peer, owner: httpx.AsyncClient) -> None:
    hasty = gateway_settings.model_copy(update={"timeout_answer": 0.1})
    async with running(hasty, gateway.log) as port:
        answer = await owner.put(f"http://127.0.0.1:{port}/api/lock/CAR")
    assert (answer.status_code, answer.text) == (504, "Vehicle did not answer\n")


async def test_two_gateways_take_turns_and_each_hears_its_own(
    gateway: Gateway, gateway_settings: Settings, car: Peer, owner: httpx.AsyncClient
) -> None:
    async with running(gateway_settings, gateway.log) as port:
        first = asyncio.ensure_future(owner.put("/api/command/CAR", params={"command": "a"}))
        await car.until_hears(b"C7,a")
        second = asyncio.ensure_future(owner.put(f"http://127.0.0.1:{port}/api/command/CAR", params={"command": "b"}))
        await until_told(gateway.pool, "SELECT count(*) = 2 FROM commands")
        assert await car.drain() == []
        car.send(b"c7,0,for a")
        await car.until_hears(b"C7,b")
        car.send(b"c7,0,for b")
        assert [(await call).json()["text"] for call in (first, second)] == ["for a", "for b"]


async def test_a_car_whose_turn_does_not_come(
    gateway: Gateway, gateway_settings: Settings, car: Peer, owner: httpx.AsyncClient
) -> None:
    hasty = gateway_settings.model_copy(update={"timeout_answer": 0.1})
    async with running(hasty, gateway.log) as port:
        first = asyncio.ensure_future(owner.put("/api/lock/CAR"))
        await car.until_hears(b"C20,")
        answer = await owner.put(f"http://127.0.0.1:{port}/api/valet/CAR")
        assert (answer.status_code, answer.text) == (503, "Vehicle is busy\n")
        car.send(b"c20,0")
        assert (await first).status_code == 200
    assert await car.drain() == []


async def test_neither_log_nor_trail_nor_table_has_a_secret(
    gateway: Gateway, car: Peer, owner: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log of the gateway is the fixture's; that of car-protocol is the process' output."""
    calls = [
        (owner.put("/api/lock/CAR", data={"pin": PIN}), f"C20,{PIN}", "c20,1,Wrong"),
        (owner.delete("/api/valet/CAR", params={"pin": PIN}), f"C23,{PIN}", "c23,0"),
        (owner.put("/api/parameter/CAR", json={"parameter": 9, "value": SECRET}), f"C4,9,{SECRET}", "c4,0"),
        (owner.put("/api/command/CAR", json={"command": SECRET}), f"C7,{SECRET}", "c7,0"),
        (owner.put("/api/sms/CAR", data={"number": "1", "message": SECRET}), f"C40,1,{SECRET}", "c40,2"),
        (owner.put("/api/ussd/CAR", data={"code": SECRET}), f"C41,{SECRET}", "c41,3"),
        (owner.get("/api/parameters/CAR"), "C3", f"c3,0,0,1,{SECRET}"),
    ]
    for call, command, said in calls:
        await exchange(car, call, command.encode(), said.encode())
    wrong = await owner.put("/api/lock/CAR", params={"pin": f"{PIN}x"})
    await until_told(gateway.pool, "SELECT count(*) = 7 FROM audit")

    trail = await gateway.pool.fetch("SELECT actor, means, action, vehicle_id, detail FROM audit ORDER BY id")
    assert [json.loads(row["detail"])["number"] for row in trail] == [20, 23, 4, 7, 40, 41, 3]
    assert {(row["actor"], row["means"], row["action"], row["vehicle_id"]) for row in trail} == {
        ("demo", "password", "command", "CAR")
    }
    assert json.loads(trail[0]["detail"]) == {"kind": "lock", "number": 20, "state": "failed", "result": 1}
    kept = repr(await gateway.pool.fetch("SELECT * FROM commands"))
    written = gateway.log.getvalue().decode() + "".join(capfd.readouterr())
    assert '"route":"/api/lock/{vehicle_id}"' in written
    for text in (wrong.text, repr(trail), kept, written):
        assert PIN not in text
        assert SECRET not in text


async def test_a_token_for_other_vehicles(gateway: Gateway, car: Peer) -> None:
    async with gateway.client(headers=await token_header(gateway, "admin", vehicles=["DEMO"])) as client:
        for call in CALLS:
            assert (await client.request(call.method, f"/api/{call.name}/CAR?{call.example}")).status_code == 403, call
        assert (await client.put("/api/lock/DEMO")).status_code == 503
    assert await car.drain() == []


@pytest.mark.parametrize("permit", ["auth", "", "v2,session"])
async def test_older_tokens_gain_no_control(gateway: Gateway, car: Peer, permit: str) -> None:
    async with gateway.client(headers=await token_header(gateway, permit)) as client:
        for call in CALLS:
            answer = await client.request(call.method, f"/api/{call.name}/CAR?{call.example}")
            assert answer.status_code == (403 if permit else 401), call
    assert await car.drain() == []


async def test_control_is_less_than_admin(gateway: Gateway, car: Peer) -> None:
    async with gateway.client(headers=await token_header(gateway, "control")) as client:
        for call in CALLS:
            if call.rights == ADMIN:
                assert (await client.request(call.method, f"/api/{call.name}/CAR?{call.example}")).status_code == 403
        assert (await exchange(car, client.delete("/api/lock/CAR"), b"C22,", b"c22,0")).status_code == 200


async def test_another_owners_car(car: Peer, gateway: Gateway) -> None:
    async with await gateway.signed_in("other") as other:
        assert (await other.put("/api/lock/CAR")).status_code == 403
    assert await car.drain() == []


async def test_lock_and_valet_are_read_from_state(gateway: Gateway, owner: httpx.AsyncClient) -> None:
    await send_message(gateway.pool, "DEMO", "D84,24,4")
    lock, valet = (await owner.get("/api/lock/DEMO")).json(), (await owner.get("/api/valet/DEMO")).json()
    assert (lock["carlocked"], valet["valetmode"]) == (8, 16)
    assert set(lock) == {"carlocked", "m_msgtime_d", "m_msgage_d"}
