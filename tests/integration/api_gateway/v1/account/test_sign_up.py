"""Making an account of one's own."""

from typing import Any

import pytest

from api_gateway.settings import Settings
from fixtures.gateway import Gateway
from fixtures.typed import refused, trail

ACCOUNTS = "/api/v1/accounts"
ALICE = {"name": "alice", "password": "a good one", "email": "alice@example.org"}


async def test_it_is_closed_by_itself(gateway: Gateway) -> None:
    async with gateway.client() as client:
        assert refused(await client.post(ACCOUNTS, json=ALICE)) == (403, "sign-up-closed")
    assert await gateway.pool.fetchval("SELECT count(*) FROM owners") == 2


class TestOpen:
    """Where the operator lets everybody make an account."""

    @pytest.fixture
    def gateway_settings(self, gateway_settings: Settings) -> Settings:
        return gateway_settings.model_copy(update={"sign_up": True})

    async def test_an_account_is_made(self, gateway: Gateway) -> None:
        async with gateway.client() as client:
            made = await client.post(ACCOUNTS, json=ALICE)
            assert (made.status_code, made.json(), made.headers["location"]) == (201, {"name": "alice"}, "/api/v1/account")
            account = await client.get("/api/v1/account", auth=("ALICE", "a good one"))
            assert (account.json()["name"], account.json()["email"]) == ("alice", "alice@example.org")
            for name in ("Alice", "demo"):
                assert refused(await client.post(ACCOUNTS, json={**ALICE, "name": name})) == (409, "name-taken")
        assert await trail(gateway, "alice") == [("alice", "account.create", None)]

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"name": ""}, "#/name"),
            ({"name": " alice"}, "#/name"),
            ({"name": "ali\0ce"}, "#/name"),
            ({"name": "ali\u200bce"}, "#/name"),
            ({"name": "x" * 256}, "#/name"),
            ({"password": "short"}, "#/password"),
            ({"email": "alice"}, "#/email"),
            ({"permit": "*"}, "#/permit"),
        ],
    )
    async def test_what_no_account_can_be(self, gateway: Gateway, change: dict[str, Any], pointer: str) -> None:
        async with gateway.client() as client:
            answer = await client.post(ACCOUNTS, json={**ALICE, **change})
        assert refused(answer) == (422, "invalid-request")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]

    async def test_one_network_makes_few(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        async with gateway.client() as client:
            answers = [await client.post(ACCOUNTS, json={**ALICE, "name": "demo"}) for _ in range(12)]
        assert [answer.status_code for answer in answers] == [409] * 10 + [429] * 2
        assert refused(answers[-1]) == (429, "too-many-requests")
        assert int(answers[-1].headers["retry-after"]) > 60
