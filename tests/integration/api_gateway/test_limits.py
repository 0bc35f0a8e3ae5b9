"""Too many calls, and too many wrong passwords."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import httpx
import pytest

from api_gateway.auth.door import FREE
from api_gateway.settings import Settings
from fixtures.gateway import Gateway, hashed
from fixtures.typed import DEMO, bearer, refused, token_of

HERE, ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "198.51.100.7"}
VEHICLES = "/api/v1/vehicles"


@pytest.fixture
def gateway_settings(gateway_settings: Settings) -> Settings:
    return gateway_settings.model_copy(update={"trusted_proxies": "127.0.0.0/8", "rate_limit": 20, "rate_limit_legacy": 40})


def limited(answers: Iterable[httpx.Response]) -> httpx.Response:
    """The first that was one too many; of those after it, time may have made room for one."""
    return next(answer for answer in answers if answer.status_code == 429)


async def guess(client: httpx.AsyncClient, password: str, path: str = "/api/status/DEMO", user: str = "demo") -> httpx.Response:
    return await client.get(path, params={"username": user, "password": password}, headers=HERE)


@pytest.fixture
async def guesser(gateway: Gateway, end_delays: Callable[[], None]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has guessed as often as is free, so that the next guess has to wait."""
    async with gateway.client() as client:
        for number in range(FREE):
            assert (await guess(client, f"wrong {number}")).status_code == 401
        yield client


async def test_who_guesses_is_told_to_come_again(gateway: Gateway, guesser: httpx.AsyncClient) -> None:
    slowed = await guess(guesser, "wrong")
    assert (slowed.status_code, slowed.headers["content-type"], slowed.text) == (429, "text/plain", "Too many attempts\n")
    assert int(slowed.headers["retry-after"]) > 0
    typed = await guess(guesser, "wrong", VEHICLES)
    assert refused(typed) == (429, "too-many-attempts")
    assert "retry-after" in typed.headers
    # The right password is a guess like any other.
    assert (await guess(guesser, "secret")).status_code == 429
    passwords = [f"wrong {number}" for number in range(FREE)] + ["secret"]
    answers = [
        await guesser.post("/mqapi/auth", data={"username": "demo", "password": password}, headers=HERE)
        for password in passwords
    ]
    assert {answer.status_code for answer in answers} == {403}


async def test_nobody_else_is_kept_out(gateway: Gateway, guesser: httpx.AsyncClient) -> None:
    token = await token_of(gateway, DEMO, "read")
    async with gateway.client(auth=DEMO, headers=ELSEWHERE) as owner, bearer(gateway, token) as program:
        assert (await owner.get(VEHICLES)).status_code == 200
        assert (await program.get(VEHICLES, headers=HERE)).status_code == 200
    assert (await guess(guesser, "hunter22", VEHICLES, "other")).status_code == 200


@pytest.mark.usefixtures("end_delays")
async def test_who_was_right_before_is_not_slowed_down(gateway: Gateway) -> None:
    async with gateway.client() as client:
        assert (await guess(client, "secret")).status_code == 200
        for number in range(FREE):
            await guess(client, f"wrong {number}")
        assert (await guess(client, "wrong")).status_code == 429
        assert (await guess(client, "secret")).status_code == 200


async def test_a_known_client_signs_in_while_others_of_its_address_guess(gateway: Gateway, guesser: httpx.AsyncClient) -> None:
    app = HERE | {"User-Agent": "an app"}
    async with gateway.client(auth=DEMO, headers=app) as owner, gateway.client(headers=HERE) as stranger:
        assert (await owner.get(VEHICLES)).status_code == 200
        for number in range(2 * FREE):
            await guess(stranger, f"wrong again {number}")
        assert (await guess(stranger, "wrong")).status_code == 429
        # The address has a password that is right; for others it is a guess like any other, and no oracle.
        assert (await guess(stranger, "secret")).status_code == 429
        assert [(await owner.get(path)).status_code for path in (VEHICLES, "/api/status/DEMO")] == [200, 200]


async def test_a_right_password_from_elsewhere_gets_in_while_somebody_guesses(
    gateway: Gateway, guesser: httpx.AsyncClient
) -> None:
    neighbour = {"X-Forwarded-For": "192.0.2.8"}
    async with gateway.client(auth=DEMO) as owner:
        for headers in (ELSEWHERE, neighbour):
            assert (await owner.get(VEHICLES, headers=headers)).status_code == 200


async def test_a_token_in_place_of_a_password_is_no_guess(gateway: Gateway, guesser: httpx.AsyncClient) -> None:
    token = await token_of(gateway, DEMO, "read")
    assert (await guess(guesser, token)).status_code == 200
    assert (await guess(guesser, token, user="other")).status_code == 401
    assert (await guess(guesser, "f" * 64)).status_code == 429


async def test_a_right_password_is_no_oracle_where_the_client_itself_guesses(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, end_delays: Callable[[], None]
) -> None:
    monkeypatch.setattr("ovms.auth.delays.GUESSED", 2 * FREE)
    async with gateway.client() as client:
        assert (await guess(client, "secret")).status_code == 200
        answers = [await guess(client, f"wrong {number}") for number in range(4 * FREE)]
        assert 429 in {answer.status_code for answer in answers}
        assert (await guess(client, "secret")).status_code == 429
        end_delays()
        assert (await guess(client, "secret")).status_code == 200


@pytest.mark.usefixtures("end_delays")
async def test_guesses_that_come_at_once_are_counted_at_once(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answers = await asyncio.gather(*(guess(client, f"wrong {number}") for number in range(2 * FREE)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == FREE
    assert set(statuses) == {401, 429}


async def test_the_published_password_authenticates_on_loopback_alone(gateway: Gateway) -> None:
    await gateway.pool.execute("UPDATE owners SET password_hash = $1 WHERE name = 'demo'", hashed("demo"))
    async with gateway.client() as client:
        statuses = [
            (await client.get(path, params={"username": "Demo", "password": "demo"}, headers=headers)).status_code
            for path in ("/api/status/Second", VEHICLES)
            for headers in ({}, HERE, ELSEWHERE)
        ]
        broker = await client.post("/mqapi/auth", data={"username": "demo", "password": "demo"})
    assert statuses == [200, 401, 401] * 2
    assert broker.status_code == 403  # it speaks for users whose address it does not name


async def test_calls_are_counted_and_told(gateway: Gateway) -> None:
    async with gateway.client(auth=DEMO) as client, await gateway.signed_in("other") as other:
        first = await client.get(VEHICLES)
        assert first.headers["ratelimit-policy"] == '"credential";q=20;w=60'
        assert first.headers["ratelimit"] == '"credential";r=19;t=3'
        answers = [await client.get(VEHICLES) for _ in range(25)]
        assert answers[0].status_code == 200
        refusal = limited(answers)
        assert refused(refusal) == (429, "too-many-requests")
        assert 1 <= int(refusal.headers["retry-after"]) <= 3
        assert refusal.headers["ratelimit"].startswith('"credential";r=0;')
        unknown = await other.get(f"{VEHICLES}/nothing")
        assert (unknown.status_code, unknown.headers["ratelimit"]) == (404, '"credential";r=19;t=3')
        legacy = await client.get("/api/vehicles")
        assert (legacy.status_code, "ratelimit" in legacy.headers) == (200, False)


async def test_the_legacy_api_has_a_limit_too(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        answers = [await client.get("/api/vehicles") for _ in range(50)]
    refusal = limited(answers)
    assert (refusal.headers["content-type"], refusal.text) == ("text/plain", "Too many requests\n")
    assert int(refusal.headers["retry-after"]) >= 1


async def test_wrong_tokens_are_counted_by_network(gateway: Gateway) -> None:
    async with gateway.client(headers={"Authorization": "Bearer wrong"}) as client:
        answers = [await client.get(VEHICLES, headers=HERE) for _ in range(25)]
        assert answers[0].status_code == 401
        assert limited(answers)
        assert (await client.get(VEHICLES, headers=ELSEWHERE)).status_code == 401
