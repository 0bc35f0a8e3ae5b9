"""What both services log of logins, calls and what cars send, right and wrong: no secret, position or name is in it."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from fixtures.cars import DEADLINE, PASSWORD, Peer, add_vehicles
from fixtures.processes import MakeGateway, MakeReplica
from fixtures.replicas import HOST, Gateway, Replica
from fixtures.waiting import until_told
from ovms.db.engine import Pool
from ovms.db.passwords import hash_password
from ovms.db.sealing import Sealer
from ovms.db.tokens import create_token
from ovms.identity import Role

USER, USER_PASSWORD, WRONG = "Annabel", "u5er-pa55word", "wr0ng-pa55word"
VEHICLE_ID, OTHER_ID = "SECRETCAR", "NOSUCHCAR"
POSITION = ("22.280868", "114.160598")
PIN, MAIL, APP_ID, DEVICE = "483920", "annabel@mail.example.org", "the-phone-of-annabel", "device-token-of-annabel"


@pytest.fixture
async def owner(pool: Pool, secret_keys: str) -> int:
    await add_vehicles(pool, secret_keys, VEHICLE_ID)
    hashed = await asyncio.to_thread(hash_password, USER_PASSWORD)
    key: int = await pool.fetchval("UPDATE owners SET name = $1, password_hash = $2 RETURNING id", USER, hashed)
    return key


@pytest.fixture
def replica(make_replica: MakeReplica) -> Replica:
    made = make_replica(OVMS_LOG_LEVEL="debug")
    made.start()
    return made


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> Gateway:
    made = make_gateway(OVMS_LOG_LEVEL="debug")
    made.start()
    return made


async def drive(replica: Replica, pool: Pool) -> Peer:
    """Cars, apps and users come, with right passwords and wrong ones; the car stays."""
    for role, vehicle_id, password in [
        (Role.CAR, VEHICLE_ID, WRONG.encode()),
        (Role.APP, OTHER_ID, PASSWORD),
    ]:
        peer = Peer(role, vehicle_id, password)
        await peer.connect(replica.port)
        await peer.closed()
    car, app = Peer(Role.CAR, VEHICLE_ID), Peer(Role.APP, VEHICLE_ID)
    await car.connect(replica.port)
    await car.welcomed()
    car.send(b"L" + ",".join((*POSITION, "0", "30", "1", "1")).encode(), b"PA" + POSITION[0].encode(), b"h7,1,*-Log,1,1,x")
    await until_told(pool, "SELECT EXISTS (SELECT FROM messages WHERE code = 'L')")
    await app.connect(replica.port)
    await app.welcomed()
    app.send(f"p{APP_ID},gcm,production,{VEHICLE_ID},{PASSWORD.decode()},{DEVICE}".encode())
    app.send(f"p{APP_ID},mail,simple,{VEHICLE_ID},{WRONG},{MAIL}".encode())
    await until_told(pool, "SELECT EXISTS (SELECT FROM push_subscriptions)")
    for password in (USER_PASSWORD, WRONG):
        await say(replica.port, f"MP-A 1 {USER} {password} {VEHICLE_ID}")
    await say(replica.port, f"MP-A 9 {USER} {USER_PASSWORD}")
    return car


async def say(port: int, line: str) -> None:
    """Say a line, and wait for an answer or the end."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(line.encode() + b"\r\n")
    async with asyncio.timeout(DEADLINE):
        await reader.read(1)
    writer.close()


async def call(gateway: Gateway, token: str) -> list[str]:
    """Call with credentials in every place, right and wrong; returns what else is secret."""
    secrets = []
    for password in (USER_PASSWORD, WRONG):
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            query = {"username": USER, "password": password}
            for path in (f"/api/status/{VEHICLE_ID}", f"/nowhere/{VEHICLE_ID}"):
                await client.get(path, params=query)
            basic = base64.b64encode(f"{USER}:{password}".encode()).decode()
            await client.get(f"/api/v1/vehicles/{VEHICLE_ID}/location", headers={"Authorization": f"Basic {basic}"})
            signed_in = await client.get("/api/cookie", params=query, headers={"X-Request-ID": "asked-for"})
            assert signed_in.headers["x-request-id"] == "asked-for"
            secrets += [basic, *signed_in.cookies.values()]
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for bearer in (token, "f" * 64):
            headers = {"Authorization": f"Bearer {bearer}", "X-Request-ID": "a bad one" * 100}
            answer = await client.get("/api/v1/vehicles", headers=headers)
            assert len(answer.headers["x-request-id"]) == 16
        by_token = {"Authorization": f"Bearer {token}"}
        made = await client.post("/api/v1/account/tokens", headers=by_token, json={"purpose": "a thing", "scopes": ["read"]})
        assert made.status_code == 201, made.text
        secrets.append(made.json()["token"])
        locked = await client.post(
            f"/api/v1/vehicles/{VEHICLE_ID}/commands",
            headers=by_token,
            json={"kind": "lock", "arguments": {"pin": PIN}, "queue": True},
        )
        assert locked.status_code == 202, locked.text
        await client.post("/api/v1/account/tokens", headers=by_token, content=f'{{"password": "{USER_PASSWORD}"')
    return secrets


def lines(log: str) -> list[dict[str, Any]]:
    """Every line is one of ours."""
    return [json.loads(line) for line in log.splitlines()]


async def test_no_secret_no_position_and_no_name_is_logged(
    replica: Replica, gateway: Gateway, pool: Pool, owner: int, database_url: str, secret_keys: str
) -> None:
    token = await create_token(pool, owner, application="", purpose="", permit="*")
    car = await drive(replica, pool)
    made = await call(gateway, token)
    assert [await asyncio.to_thread(program.terminate) for program in (replica, gateway)] == [0, 0]
    await car.closed()

    hidden = [PASSWORD.decode(), USER_PASSWORD, WRONG, token, *made, "f" * 64, *POSITION, PIN, MAIL, APP_ID, DEVICE]
    hidden += [secret_keys.partition(":")[2], database_url.split(":")[2].partition("@")[0], USER, VEHICLE_ID, OTHER_ID]
    assert len(made) == 4
    for log in (replica.log, gateway.log):
        assert [secret for secret in hidden if secret.lower() in log.lower()] == []

    cars = lines(replica.log)
    alias = Sealer.from_setting(secret_keys).pseudonym(VEHICLE_ID)
    [came] = [line for line in cars if line["event"] == "logged in" and line["role"] == "CAR"]
    assert came["vehicle"] == alias
    [gone] = [line for line in cars if line["event"] == "closed" and line["session"] == came["session"]]
    assert gone["vehicle"] == alias
    sessions = {line["session"] for line in cars if "session" in line}
    assert len(sessions) >= 6
    assert all(line["service"] == "car-protocol" and line["timestamp"] for line in cars)

    calls = [line for line in lines(gateway.log) if line["event"] == "request"]
    assert [line["request_id"] for line in calls if line["route"] == "/api/cookie"] == ["asked-for"] * 2
    assert len({line["request_id"] for line in calls}) == len(calls) - 1
    assert {line["status"] for line in calls} >= {200, 201, 401, 404}
