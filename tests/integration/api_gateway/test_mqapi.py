"""What Mosquitto's HTTP authentication plugins ask."""

import httpx
import pytest

from fixtures.gateway import Gateway

LOGIN = {"username": "demo", "password": "secret"}
# Plugins send all fields with every call.
REST = {"topic": "", "acc": "-1", "clientid": "phone"}
YES, NO = (200, "text/plain", b""), (403, "text/plain", b"")


def seen(answer: httpx.Response) -> tuple[int, str, bytes]:
    return answer.status_code, answer.headers["content-type"], answer.content


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (LOGIN, YES),
        ({**LOGIN, **REST}, YES),
        ({**LOGIN, "username": "DEMO"}, YES),
        ({**LOGIN, "password": "no"}, NO),
        ({**LOGIN, "password": ""}, NO),
        ({**LOGIN, "password": "hunter22"}, NO),
        ({**LOGIN, "username": ""}, NO),
        ({**LOGIN, "username": "nobody"}, NO),
        ({**LOGIN, "username": "demo\0"}, NO),
        ({**LOGIN, "username": "de" * 5_000}, NO),
        ({"username": "demo"}, NO),
        ({"password": "secret"}, NO),
        ({}, NO),
    ],
)
async def test_a_user_is_who_knows_the_password(
    gateway: Gateway, fields: dict[str, str], expected: tuple[int, str, bytes]
) -> None:
    async with gateway.client() as client:
        for _ in range(2):
            assert seen(await client.post("/mqapi/auth", data=fields)) == expected
    assert b"secret" not in gateway.log.getvalue()


@pytest.mark.parametrize(
    ("permit", "expected"),
    [("mqtt", YES), ("v3", YES), ("auth, MQTT", YES), ("*", YES), ("v2", NO), ("auth,session", NO), ("none", NO), ("", NO)],
)
async def test_a_token_needs_the_right(gateway: Gateway, permit: str, expected: tuple[int, str, bytes]) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN, data={"permit": permit})).json()["token"]
        assert seen(await client.post("/mqapi/auth", data={**LOGIN, "password": token})) == expected
        assert seen(await client.post("/mqapi/auth", data={"username": "other", "password": token})) == NO


async def test_a_token_for_some_vehicles_opens_no_topic(gateway: Gateway) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN, data={"permit": "mqtt"})).json()["token"]
        await gateway.pool.execute("UPDATE api_tokens SET vehicles = ARRAY['DEMO']")
        assert seen(await client.post("/mqapi/auth", data={**LOGIN, "password": token})) == NO


async def test_a_deleted_token_is_dead_at_once(gateway: Gateway) -> None:
    async with gateway.client() as client:
        token = (await client.post("/api/token", params=LOGIN, data={"permit": "mqtt"})).json()["token"]
        assert seen(await client.post("/mqapi/auth", data={**LOGIN, "password": token})) == YES
        await client.delete(f"/api/token/{token}", params=LOGIN)
        assert seen(await client.post("/mqapi/auth", data={**LOGIN, "password": token})) == NO


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"username": "demo", "topic": "ovms/demo/DEMO/metric/v/b/soc", "acc": "2", "clientid": "c"}, YES),
        ({"username": "demo", "topic": "ovms/demo/#", "acc": "4"}, YES),
        ({"username": "demo", "topic": "ovms/demo2/x"}, NO),
        ({"username": "demo", "topic": "ovms/other/x"}, NO),
        ({"username": "demo", "topic": "ovms/+/x"}, NO),
        ({"username": "demo", "topic": "#"}, NO),
        ({"username": "demo", "topic": "ovms/DEMO/x"}, NO),
        ({"username": "+", "topic": "ovms/+/x"}, NO),
        ({"username": "", "topic": "ovms//x"}, NO),
        ({"topic": "ovms//x"}, NO),
        ({"username": "demo"}, NO),
        ({}, NO),
    ],
)
async def test_topics_are_their_users(gateway: Gateway, fields: dict[str, str], expected: tuple[int, str, bytes]) -> None:
    async with gateway.client() as client:
        assert seen(await client.post("/mqapi/acl", data=fields)) == expected
        assert seen(await client.post("/mqapi/acl", params=fields)) == expected


async def test_nobody_is_a_superuser(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for fields in (LOGIN, {"username": "demo"}, {"username": "admin"}, {}):
            assert seen(await client.post("/mqapi/superuser", data=fields)) == NO


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", ""),
        (b"\xff\xfe%zz&=&username", "application/x-www-form-urlencoded"),
        (b"{", "application/json"),
        (b'{"username": 7, "password": [], "topic": {}}', "application/json"),
        (b"x", "multipart/form-data"),
        (b"username=dem\xff&topic=ovms/dem\xfe/x&password=x", "application/x-www-form-urlencoded"),
        (b"username=" + b"&username=" * 1_500, "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_no_form_is_refused(gateway: Gateway, body: bytes, content_type: str) -> None:
    async with gateway.client() as client:
        for call in ("auth", "acl", "superuser"):
            answer = await client.post(f"/mqapi/{call}", content=body, headers={"Content-Type": content_type})
            assert seen(answer) == NO, call


async def test_a_slash_at_the_end_does_not_matter(gateway: Gateway) -> None:
    async with gateway.client() as client:
        assert seen(await client.post("/mqapi/auth/", data=LOGIN)) == YES
        assert seen(await client.post("/mqapi/acl/", data={"username": "demo", "topic": "ovms/demo/x"})) == YES
        assert seen(await client.post("/mqapi/superuser/", data=LOGIN)) == NO


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_posts_are_answered(gateway: Gateway, method: str) -> None:
    async with gateway.client() as client:
        for path in ("/mqapi/auth", "/mqapi/superuser", "/mqapi/acl", "/mqapi/none"):
            answer = await client.request(method, path, params=LOGIN)
            assert seen(answer) == (404, "text/plain", b"Unrecognised API call\n")
