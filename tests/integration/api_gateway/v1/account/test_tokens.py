"""Tokens by the typed API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_gateway.v1.account.tokens import NewToken, Tokens
from fixtures.gateway import Gateway
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail
from ovms.db import tokens as stored

TOKENS = "/api/v1/account/tokens"


async def test_a_token_is_made_shown_once_and_deleted(gateway: Gateway) -> None:
    wanted = {"scopes": ["location", "read", "read"], "application": "evcc", "purpose": "charging", "vehicles": ["demo"]}
    async with gateway.client(auth=DEMO) as client:
        made = await client.post(TOKENS, json={**wanted, "lifetime": 3600})
        assert made.status_code == 201
        NewToken.model_validate_json(made.content, strict=True)
        token = made.json().pop("token")
        assert made.headers["location"] == f"{TOKENS}/{made.json()['identifier']}"
        assert made.headers["cache-control"] == "no-store"
        listed = await client.get(TOKENS)
        Tokens.model_validate_json(listed.content, strict=True)
        assert token not in listed.text
        (one,) = listed.json()["items"]
        assert (one["scopes"], one["vehicles"], one["last_used_at"]) == (["read", "location"], ["DEMO"], None)
        assert timedelta(minutes=59) < datetime.fromisoformat(one["expires_at"]) - datetime.now(UTC) < timedelta(minutes=61)
        async with bearer(gateway, token) as program:
            vehicles = (await program.get("/api/v1/vehicles")).json()["items"]
            assert [vehicle["id"] for vehicle in vehicles] == ["DEMO"]
            assert (await client.get(TOKENS)).json()["items"][0]["last_used_at"] is not None
            gone = await client.delete(made.headers["location"])
            assert (gone.status_code, gone.content, "content-length" in gone.headers) == (204, b"", False)
            assert (await program.get("/api/v1/vehicles")).status_code == 401
    assert await trail(gateway) == [("demo", "token.create", None), ("demo", "token.delete", None)]
    assert token not in str(await gateway.pool.fetch("SELECT * FROM audit"))


async def test_a_deleted_token_takes_its_sessions_with_it_and_no_others(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as owner, gateway.client() as program, await gateway.signed_in() as cookie:
        token = (await owner.post("/api/token", data={"permit": "session,read"})).json()["token"]
        await program.get("/api/cookie", params={"username": "demo", "password": token})
        assert (await program.get("/api/status/DEMO")).status_code == 200
        assert (await owner.delete(f"{TOKENS}/{stored.identify(token)}")).status_code == 204
        assert (await program.get("/api/status/DEMO")).status_code == 401
        assert (await cookie.get("/api/status/DEMO")).status_code == 200


@pytest.mark.parametrize("scopes", [["read"], ["read", "location", "history", "control"]])
async def test_a_token_without_admin_makes_none(gateway: Gateway, scopes: list[str]) -> None:
    token = await token_of(gateway, DEMO, *scopes)
    async with bearer(gateway, token) as client:
        for answer in (
            await client.get(TOKENS),
            await client.post(TOKENS, json={"scopes": ["read"]}),
            await client.delete(f"{TOKENS}/{stored.identify(token)}"),
        ):
            assert refused(answer) == (403, "insufficient-rights")


async def test_an_admin_token_for_some_vehicles_makes_none(gateway: Gateway) -> None:
    async with bearer(gateway, await token_of(gateway, DEMO, "admin", vehicles=["DEMO"])) as client:
        assert refused(await client.post(TOKENS, json={"scopes": ["read"]})) == (403, "insufficient-rights")


async def test_a_token_that_ends_makes_none_that_ends_later(gateway: Gateway) -> None:
    async with bearer(gateway, await token_of(gateway, DEMO, "admin", lifetime=1000)) as client:
        later = await client.post(TOKENS, json={"scopes": ["read"], "lifetime": 2000})
        assert refused(later) == (422, "invalid-request")
        assert later.json()["errors"][0]["pointer"] == "#/expires_at"
        assert (await client.post(TOKENS, json={"scopes": ["read"], "lifetime": 900})).status_code == 201
        without = (await client.post(TOKENS, json={"scopes": ["admin"]})).json()["expires_at"]
        assert datetime.fromisoformat(without) < datetime.now(UTC) + timedelta(seconds=1001)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/scopes"),
        ({"scopes": []}, "#/scopes"),
        ({"scopes": ["*"]}, "#/scopes/0"),
        ({"scopes": ["read"], "lifetime": 0}, "#/lifetime"),
        ({"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"scopes": ["read"], "expires_at": "2999-01-01T00:00:00"}, "#/expires_at"),
        ({"scopes": ["read"], "expires_at": "2999-01-01T00:00:00Z", "lifetime": 1}, "#"),
        ({"scopes": ["read"], "vehicles": ["OTHER1"]}, "#/vehicles"),
        ({"scopes": ["read"], "vehicles": []}, "#/vehicles"),
        ({"scopes": ["read"], "purpose": "nul\0"}, "#/purpose"),
        ({"scopes": ["read"], "application": "x" * 256}, "#/application"),
        ({"scopes": ["read"], "permit": "hush"}, "#/permit"),
        (["hush"], "#"),
    ],
)
async def test_what_is_wrong_is_told_without_its_value(gateway: Gateway, body: Any, pointer: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.post(TOKENS, json=body)
    assert refused(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "hush" not in answer.text


async def test_a_body_that_is_no_json_is_refused(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO, headers={"Content-Type": "application/json"}) as client:
        assert refused(await client.post(TOKENS, content=b'{"scopes": [')) == (422, "invalid-request")
        assert refused(await client.post(TOKENS, content=b'"\xff"')) == (422, "invalid-request")
        assert refused(await client.post(TOKENS)) == (422, "invalid-request")


async def test_a_token_of_another_is_as_unknown_as_none(gateway: Gateway) -> None:
    theirs = stored.identify(await token_of(gateway, OTHER, "read"))
    async with gateway.client(auth=DEMO) as client:
        for identifier in (theirs, "0" * 16, "x", "%00"):
            assert refused(await client.delete(f"{TOKENS}/{identifier}")) == (404, "token-unknown")


async def test_tokens_are_bounded(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_gateway.auth.issuing.MOST_TOKENS", 1)
    await token_of(gateway, DEMO, "read")
    async with gateway.client(auth=DEMO) as client:
        assert refused(await client.post(TOKENS, json={"scopes": ["read"]})) == (409, "too-many")


async def test_nobody_has_tokens(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for answer in (await client.get(TOKENS), await client.post(TOKENS, json={}), await client.delete(f"{TOKENS}/x")):
            assert refused(answer) == (401, "authentication-failed")
