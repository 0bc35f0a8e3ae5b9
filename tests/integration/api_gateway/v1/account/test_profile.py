"""One's own account: address and password."""

from typing import Any

import pytest

from api_gateway.v1.account.profile import Account
from fixtures.gateway import Gateway
from fixtures.typed import DEMO, OTHER, bearer, refused, token_of, trail

ACCOUNT = "/api/v1/account"
PASSWORD = f"{ACCOUNT}/password"
CHANGE = {"current": "secret", "new": "correct horse"}
NEW = ("demo", "correct horse")
VEHICLES = "/api/vehicles"


async def test_the_account_and_its_address(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client:
        found = await client.get(ACCOUNT)
        Account.model_validate_json(found.content, strict=True)
        assert (found.json()["name"], found.json()["email"]) == ("demo", "")
        changed = await client.patch(ACCOUNT, json={"email": "demo@example.org"})
        assert changed.json() == {**found.json(), "email": "demo@example.org"}
        assert (await client.get(ACCOUNT)).json() == changed.json()
        assert (await client.patch(ACCOUNT, json={"email": ""})).json() == found.json()
    assert await trail(gateway) == [("demo", "account.email", None)] * 2
    assert "example" not in str(await gateway.pool.fetch("SELECT * FROM audit"))


@pytest.mark.parametrize("email", [None, "demo", "a@b@c", "a b@c", "@c", "a@", "a@b\n", "a@b\0", "x" * 65 + "@c"])
async def test_what_is_no_address(gateway: Gateway, email: Any) -> None:
    async with gateway.client(auth=DEMO) as client:
        assert refused(await client.patch(ACCOUNT, json={"email": email})) == (422, "invalid-request")


async def test_a_new_password_ends_whatever_the_old_one_began(gateway: Gateway) -> None:
    token = await token_of(gateway, DEMO, "read")
    other, mine, old = [await gateway.signed_in(name) for name in ("other", "demo", "demo")]
    async with other, mine, old, gateway.client(auth=DEMO) as remembered:
        for client in (remembered, old, mine, other):
            assert (await client.get(VEHICLES)).status_code == 200
        changed = await mine.put(PASSWORD, json=CHANGE)
        assert (changed.status_code, changed.content) == (204, b"")
        for client in (remembered, old):
            assert (await client.get(VEHICLES)).status_code == 401
        for client in (mine, other):
            assert (await client.get(VEHICLES)).status_code == 200
        # It is renewed as well, which needs the proof of the new password.
        assert (await mine.get("/api/vehicle/DEMO")).status_code == 200
        async with gateway.client(auth=NEW) as renewed, bearer(gateway, token) as program:
            assert (await renewed.get(VEHICLES)).status_code == 200
            assert (await program.get("/api/v1/vehicles")).status_code == 200
    assert ("demo", "account.password", None) in await trail(gateway)
    kept = str(await gateway.pool.fetch("SELECT * FROM audit")) + gateway.log.getvalue().decode()
    assert "secret" not in kept
    assert "horse" not in kept


async def test_tokens_go_too_where_that_is_asked_for(gateway: Gateway) -> None:
    token = await token_of(gateway, DEMO, "admin")
    theirs = await token_of(gateway, OTHER, "read")
    async with bearer(gateway, token) as client, bearer(gateway, theirs) as other:
        assert (await client.put(PASSWORD, json={**CHANGE, "revoke_tokens": True})).status_code == 204
        assert refused(await client.get(ACCOUNT)) == (401, "authentication-failed")
        assert (await other.get("/api/v1/vehicles")).status_code == 200


async def test_the_current_password_is_needed_whoever_asks(gateway: Gateway) -> None:
    token = await token_of(gateway, DEMO, "admin")
    async with await gateway.signed_in() as cookie, bearer(gateway, token) as program, gateway.client(auth=DEMO) as owner:
        for client in (cookie, program, owner):
            for current in ("wrong", token, ""):
                answer = await client.put(PASSWORD, json={**CHANGE, "current": current})
                assert refused(answer) in ((403, "password-wrong"), (429, "too-many-attempts"))
            assert (await client.get(VEHICLES)).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"new": "long enough"}, "#/current"),
        ({"current": "secret"}, "#/new"),
        ({"current": "secret", "new": "short"}, "#/new"),
        ({"current": "secret", "new": "x" * 257}, "#/new"),
        ({"current": "secret", "new": "with a \0 in it"}, "#/new"),
    ],
)
async def test_what_no_password_can_be(gateway: Gateway, body: Any, pointer: str) -> None:
    async with gateway.client(auth=DEMO) as client:
        answer = await client.put(PASSWORD, json=body)
    assert refused(answer) == (422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "secret" not in answer.text


async def test_who_may_do_less_does_nothing_here(gateway: Gateway) -> None:
    few = await token_of(gateway, DEMO, "read", "location", "history", "control")
    one = await token_of(gateway, DEMO, "admin", vehicles=["DEMO"])
    for token in (few, one):
        async with bearer(gateway, token) as client:
            for answer in (
                await client.get(ACCOUNT),
                await client.patch(ACCOUNT, json={"email": ""}),
                await client.put(PASSWORD, json=CHANGE),
            ):
                assert refused(answer) == (403, "insufficient-rights")
    async with gateway.client() as nobody:
        assert refused(await nobody.get(ACCOUNT)) == (401, "authentication-failed")
