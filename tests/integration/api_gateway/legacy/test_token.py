"""API tokens over HTTP."""

import re

import pytest

from fixtures.gateway import Gateway
from fixtures.typed import DEMO, bearer, token_of, trail
from ovms.db.tokens import identify

LOGIN = {"username": "demo", "password": "secret"}


async def test_made_listed_deleted(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        made = await client.post("/api/token", data={"application": "app", "purpose": "why", "permit": "v2"})
        assert (made.status_code, made.headers["content-type"]) == (201, "application/json")
        token = made.json()["token"]
        assert re.fullmatch("[0-9a-f]{64}", token)
        assert made.text == (f'{{"application":"app","owner":"demo","permit":"v2","purpose":"why","token":"{token}"}}\n')
        (listed,) = (await client.get("/api/token//")).json()
        identifier = listed["token"]
        assert token not in str(listed)
        assert re.fullmatch("[0-9a-f]{16}", identifier)
        times = {listed.pop(name) for name in ("created", "lastused", "refreshed")}
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", time) for time in times)
        assert listed == {"application": "app", "owner": "demo", "permit": "v2", "purpose": "why", "token": identifier}
        gone = await client.delete(f"/api/token/{identifier}")
        assert gone.text == f'{{"owner":"demo","token":"{identifier}"}}\n'
        assert (await client.get("/api/token")).text == "[]\n"


@pytest.mark.parametrize("use", ["query", "bearer"])
async def test_a_deleted_token_is_dead_at_once(gateway: Gateway, use: str) -> None:
    async with await gateway.signed_in() as owner, gateway.client() as caller:
        token = (await owner.post("/api/token")).json()["token"]
        how = {"headers": {"Authorization": f"Bearer {token}"}} if use == "bearer" else {"params": {**LOGIN, "password": token}}
        assert (await caller.get("/api/vehicles", **how)).status_code == 200
        assert (await owner.delete(f"/api/token/{token}")).json()["token"] == token
        assert (await caller.get("/api/vehicles", **how)).status_code == 401


async def test_a_credential_that_was_revoked_elsewhere_is_dead_at_once(gateway: Gateway) -> None:
    async with gateway.client() as caller:
        assert (await caller.get("/api/vehicles", params=LOGIN)).status_code == 200
        await gateway.pool.execute("UPDATE owners SET password_hash = 'another'")
        assert (await caller.get("/api/vehicles", params=LOGIN)).status_code == 401


async def test_a_token_that_never_was_is_deleted_too(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        assert (await client.delete("/api/token/nonsense%00")).json() == {"owner": "demo", "token": "nonsense\0"}
        assert (await client.delete("/api/token/")).json() == {"owner": "demo", "token": ""}
        answer = await client.delete("/api/token")
        assert (answer.status_code, answer.text) == (404, "Token not specified\n")


async def test_tokens_are_their_owners(gateway: Gateway) -> None:
    async with await gateway.signed_in() as demo, await gateway.signed_in("other") as other:
        token = (await demo.post("/api/token")).json()["token"]
        assert (await other.get("/api/token")).json() == []
        await other.delete(f"/api/token/{token}")
        assert len((await demo.get("/api/token")).json()) == 1


async def test_rights(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for permit, status in (("auth", 403), ("token.admin", 200), ("x, ADMIN", 200), ("*", 200), ("a,*", 403)):
            token = (await client.post("/api/token", params=LOGIN, data={"permit": permit})).json()["token"]
            for method, path in (("GET", "/api/token"), ("POST", "/api/token"), ("DELETE", "/api/token/x")):
                answer = await client.request(method, path, params={**LOGIN, "password": token})
                expected = 201 if method == "POST" and status == 200 else status
                assert answer.status_code == expected, permit
                if status == 403:
                    assert answer.text == "Insufficient rights\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("notspecified", "notspecified", "auth")),
        ({"params": {"application": "a b", "purpose": "p", "permit": "v2,v3"}}, ("a b", "p", "v2,v3")),
        ({"params": {"permit": "query"}, "data": {"permit": "body"}}, ("notspecified", "notspecified", "body")),
        ({"json": {"application": "json"}}, ("json", "notspecified", "auth")),
        ({"files": {"application": ("application", b"open"), "purpose": (None, b"why")}}, ("open", "why", "auth")),
        ({"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}}, ("notspecified", "notspecified", "auth")),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, ("notspecified", "notspecified", "auth")),
    ],
)
async def test_every_form_of_fields(gateway: Gateway, options: dict[str, object], expected: tuple[str, ...]) -> None:
    async with await gateway.signed_in() as client:
        answer = await client.post("/api/token", **options)
    assert answer.status_code == 201
    assert tuple(answer.json()[name] for name in ("application", "purpose", "permit")) == expected


@pytest.mark.parametrize("field", ["application", "purpose", "permit"])
async def test_what_cannot_be_stored_is_refused(gateway: Gateway, field: str) -> None:
    async with await gateway.signed_in() as client:
        for value in ("x" * 256, "nul\0"):
            answer = await client.post("/api/token", data={field: value})
            assert (answer.status_code, answer.text) == (400, "Bad request\n")
        assert (await client.get("/api/token")).json() == []


async def test_a_deleted_token_takes_its_sessions_with_it(gateway: Gateway) -> None:
    async with await gateway.signed_in() as owner, gateway.client() as program:
        token = (await owner.post("/api/token", data={"permit": "session,read"})).json()["token"]
        await program.get("/api/cookie", params={**LOGIN, "password": token})
        assert (await program.get("/api/vehicles")).status_code == 200
        await owner.delete(f"/api/token/{token}")
        assert (await program.get("/api/vehicles")).status_code == 401
        assert (await owner.get("/api/vehicles")).status_code == 200
    assert await trail(gateway) == [("demo", "token.create", None), ("demo", "token.delete", None)]
    details = str(await gateway.pool.fetch("SELECT detail FROM audit"))
    assert identify(token) in details
    assert token not in details


async def test_a_token_that_ends_makes_none_that_outlives_it(gateway: Gateway) -> None:
    async with bearer(gateway, await token_of(gateway, DEMO, "admin", lifetime=1000)) as program:
        assert (await program.post("/api/token", data={"permit": "*"})).status_code == 201
    assert await gateway.pool.fetchval("SELECT count(DISTINCT expires_at) = 1 AND count(*) = 2 FROM api_tokens")


async def test_a_token_for_some_vehicles_makes_none_for_all(gateway: Gateway) -> None:
    async with bearer(gateway, await token_of(gateway, DEMO, "admin", vehicles=["DEMO"])) as program:
        for call in ("GET /api/token", "POST /api/token", "DELETE /api/token/x", "DELETE /api/token"):
            answer = await program.request(*call.split())
            assert (answer.status_code, answer.text) == (403, "Insufficient rights\n")
    assert await gateway.pool.fetchval("SELECT count(*) = 1 FROM api_tokens")


async def test_tokens_are_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_gateway.auth.issuing.MOST_TOKENS", 1)
    async with await gateway.signed_in() as client:
        assert (await client.post("/api/token")).status_code == 201
        answer = await client.post("/api/token")
    assert (answer.status_code, answer.text) == (409, "Too many\n")


async def test_the_token_of_the_call_is_listed_in_full_and_no_other(gateway: Gateway) -> None:
    async with gateway.client() as client:
        first, second = [(await client.post("/api/token", params={**LOGIN, "permit": "*"})).json()["token"] for _ in range(2)]
        for how in (
            {"params": {"username": "demo", "password": first}},
            {"headers": {"Authorization": f"Bearer {first}"}},
            {"auth": ("demo", first)},
        ):
            listed = [token["token"] for token in (await client.get("/api/token", **how)).json()]
            assert listed == [first, identify(second)]
        assert [token["token"] for token in (await client.get("/api/token", params=LOGIN)).json()] == [
            identify(first),
            identify(second),
        ]
        # What a session was begun with the server does not know any more.
        await client.get("/api/cookie", params={"username": "demo", "password": first})
        listed = [token["token"] for token in (await client.get("/api/token")).json()]
        assert listed == [identify(first), identify(second)]
