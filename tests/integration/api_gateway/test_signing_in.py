"""Who gets in, and how long for."""

import asyncio
import base64
import hashlib

import httpx
import pytest

from fixtures.gateway import Gateway

LOGIN = {"username": "demo", "password": "secret"}
REFUSED = (401, "text/plain", "Authentication failed\n")


def seen(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["content-type"], answer.text


async def test_a_session_begins_and_ends(gateway: Gateway) -> None:
    async with gateway.client() as client:
        assert seen(await client.get("/api/vehicles")) == REFUSED
        assert seen(await client.get("/api/cookie", params={**LOGIN, "password": "x"})) == REFUSED
        assert seen(await client.get("/api/cookie", params=LOGIN)) == (200, "text/plain", "Login ok\n")
        session = client.cookies["ovmsapisession"]
        assert not set("=; ") & set(session)
        assert (await client.get("/api/vehicles")).status_code == 200
        assert seen(await client.delete("/api/cookie")) == (200, "text/plain", "Logout ok\n")
        assert seen(await client.get("/api/vehicles")) == REFUSED


async def test_the_cookie_is_name_and_value_only(gateway: Gateway) -> None:
    answer = await gateway.raw(
        b"GET /api/cookie?username=demo&password=secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    lines = [line for line in answer.split(b"\r\n") if b"ovmsapisession" in line]
    assert len(lines) == 1
    assert lines[0].startswith(b"Set-Cookie: ovmsapisession=")
    assert b";" not in lines[0]


async def test_a_browser_keeps_the_cookie_from_pages_and_from_other_sites(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answer = await client.get("/api/cookie", params=LOGIN, headers={"Sec-Fetch-Site": "same-origin"})
        name_value, *attributes = answer.headers["set-cookie"].split("; ")
        assert (name_value.partition("=")[0], attributes) == ("ovmsapisession", ["HttpOnly", "SameSite=Lax"])
        assert (await client.get("/api/vehicles")).status_code == 200


FOREIGN = ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"})
OURS = ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-site"})


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/token", 201),
        ("DELETE", "/api/token/x", 200),
        ("GET", "/api/vehicle/DEMO", 200),
        ("DELETE", "/api/vehicle/DEMO", 200),
        ("GET", "/api/features/DEMO", 503),
        ("PUT", "/api/lock/DEMO", 503),
        ("PATCH", "/api/v1/account", 422),
        ("DELETE", "/api/v1/vehicles/DEMO", 204),
        ("GET", "/api/cookie", 200),
        ("DELETE", "/api/cookie", 200),
    ],
)
async def test_a_page_of_another_site_changes_nothing_with_the_cookie(
    gateway: Gateway, method: str, path: str, expected: int
) -> None:
    async with await gateway.signed_in() as client:
        for headers in FOREIGN:
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 403, headers
            assert "ross-site request" in answer.text
            assert "set-cookie" not in answer.headers
            assert (await client.get("/api/status/DEMO", headers=headers)).status_code == 200
        assert (await client.request(method, path, headers=OURS[1])).status_code == expected


async def test_a_page_of_another_site_may_call_with_a_credential_of_its_own(gateway: Gateway) -> None:
    async with gateway.client(auth=("demo", "secret")) as client:
        for headers in (*FOREIGN, *OURS):
            for method, path in (("POST", "/api/token"), ("GET", "/api/vehicle/DEMO")):
                assert (await client.request(method, path, headers=headers)).is_success


async def test_a_page_of_another_site_makes_no_car_report_more_often(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        for path in ("/api/v1/events", "/api/v1/vehicles/DEMO/events"):
            assert (await client.get(f"{path}?watch=1", headers=FOREIGN[0])).status_code == 403


async def test_redis_does_not_hold_the_session_id(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        session = client.cookies["ovmsapisession"]
    keys = [key.decode() async for key in gateway.redis.scan_iter("ovms:*:session:*")]
    assert [key.rpartition(":")[2] for key in keys] == [hashlib.sha256(session.encode()).hexdigest()]
    assert 0 < await gateway.redis.pttl(keys[0]) <= 360_000


async def test_signing_in_again_ends_the_session_before(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        first = client.cookies["ovmsapisession"]
        assert (await client.get("/api/cookie")).status_code == 200
        assert client.cookies["ovmsapisession"] != first
        client.cookies.clear()
        assert (await client.get("/api/vehicles", headers={"Cookie": f"ovmsapisession={first}"})).status_code == 401


@pytest.mark.parametrize("user", ["demo", "DEMO"])
async def test_every_way_to_sign_in(gateway: Gateway, user: str) -> None:
    basic = base64.b64encode(f"{user}:secret".encode()).decode()
    async with gateway.client() as client:
        token = (await client.post("/api/token", params={"username": user, "password": "secret"})).json()["token"]
        basic_token = base64.b64encode(f"{user}:{token}".encode()).decode()
        for params, headers in (
            ({"username": user, "password": "secret"}, {}),
            ({"username": user, "password": token}, {}),
            ({}, {"Authorization": f"Basic {basic}"}),
            ({}, {"Authorization": f"Basic {basic_token}"}),
            ({}, {"Authorization": f"Bearer {token}"}),
            ({"username": user, "password": "secret"}, {"Cookie": "ovmsapisession=dead"}),
            ({"username": user, "password": "secret"}, {"Authorization": "Bearer wrong"}),
        ):
            answer = await client.get("/api/vehicles", params=params, headers=headers)
            assert [vehicle["id"] for vehicle in answer.json()] == ["DEMO", "Second"]


async def test_what_does_not_sign_in(gateway: Gateway) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN)).json()["token"]
        for params, headers in (
            ({"username": "demo"}, {}),
            ({"username": "demo", "password": ""}, {}),
            ({"username": "nobody", "password": "secret"}, {}),
            ({"username": "nul\0", "password": "secret"}, {}),
            ({"username": "other", "password": token}, {}),
            ({"username": "demo", "password": token.upper()}, {}),
            ({"username": "demo", "password": "0" * 64}, {}),
            ({}, {"Cookie": "ovmsapisession="}),
            ({}, {"Cookie": "ovmsapisession=*"}),
            ({}, {"Authorization": "Basic ???"}),
            ({}, {"Authorization": "Bearer"}),
            ({}, {"Authorization": f"Bearer {'0' * 64}"}),
            ({}, {"Authorization": "Digest x"}),
        ):
            answer = await client.get("/api/vehicles", params=params, headers=headers)
            assert seen(answer) == REFUSED, (params, headers)


async def test_a_token_without_the_right_begins_no_session(gateway: Gateway) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN)).json()["token"]
        answer = await client.get("/api/cookie", params={**LOGIN, "password": token})
        assert seen(answer) == (403, "text/plain", "Insufficient rights\n")
        able = (await client.post("/api/token", params={**LOGIN, "permit": "auth,session"})).json()["token"]
        assert (await client.get("/api/cookie", params={**LOGIN, "password": able})).status_code == 200
        assert (await client.get("/api/token")).status_code == 403
        assert (await client.get("/api/status/DEMO")).status_code == 200


@pytest.mark.parametrize("permit", ["none", ""])
async def test_a_token_that_permits_nothing_does_not_sign_in(gateway: Gateway, permit: str) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN, data={"permit": permit})).json()["token"]
        assert (await client.get("/api/vehicles", params={**LOGIN, "password": token})).status_code == 401


async def test_a_session_does_not_outlive_its_token_by_being_renewed(gateway: Gateway) -> None:
    async with gateway.client() as client, await gateway.signed_in() as owner:
        token = (await owner.post("/api/token", data={"permit": "session"})).json()["token"]
        await client.get("/api/cookie", params={**LOGIN, "password": token})
        assert (await client.get("/api/vehicle/DEMO")).status_code == 200
        await owner.delete(f"/api/token/{token}")
        assert (await client.get("/api/vehicle/DEMO")).status_code == 401
        assert (await client.get("/api/status/DEMO")).status_code == 401


async def test_no_secret_reaches_the_log(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        await client.get("/api/status/DEMO", params={"x": "query"})
        session = client.cookies["ovmsapisession"]
    lines = gateway.log.getvalue().decode()
    assert '"route":"/api/status/{vehicle_id}"' in lines
    for secret in ("secret", "demo", session, "query", "DEMO"):
        assert secret not in lines


# Of "password", see tests/unit/ovms/db/test_drupal.py.
DRUPAL = "$S$CFURCPa.k6FAEbJPgejaW4nijv7rYgGc4dUJtChQtV4KLJTPTC/u"


async def test_a_password_brought_from_drupal_is_hashed_anew_once_it_is_known(gateway: Gateway) -> None:
    async def stored() -> str:
        found: str = await gateway.pool.fetchval("SELECT password_hash FROM owners WHERE name = 'demo'")
        return found

    await gateway.pool.execute("UPDATE owners SET password_hash = $1 WHERE name = 'demo'", DRUPAL)
    async with gateway.client() as client:
        assert (await client.get("/api/vehicles", auth=("demo", "secret"))).status_code == 401
        assert await stored() == DRUPAL
        answers = await asyncio.gather(*(client.get("/api/cookie", params={**LOGIN, "password": "password"}) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        assert (await stored()).startswith("$argon2id$")
        # The session rests on the new hash.
        assert (await client.get("/api/vehicles")).status_code == 200
        client.cookies.clear()
        assert (await client.get("/api/vehicles", auth=("demo", "password"))).status_code == 200
        assert (await client.get("/api/vehicles", auth=("demo", "secret"))).status_code == 401
