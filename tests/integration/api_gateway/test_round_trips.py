"""What one command costs PostgreSQL and Redis: all that a gateway and a replica send to them, counted on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from api_gateway import resources
from api_gateway.commands import dispatcher
from api_gateway.settings import Settings
from fixtures.cars import Peer
from fixtures.counting import Counted, counted
from fixtures.gateway import Gateway
from fixtures.waiting import until

ROUNDS = 3

# By the words that tell them apart.
STANDS = "FROM owners o"
REACHED = "vehicles.id AS key"
OWNED = "FROM vehicles"
ADD = "INSERT INTO commands"
TAKE_NEXT = "WITH taken AS"
END = "WITH ended AS"


@pytest.fixture
async def gateway_counts(database_url: str, redis_url: str) -> AsyncIterator[Counted]:
    async with counted(database_url, redis_url) as counts:
        yield counts


@pytest.fixture
async def replica_counts(database_url: str, redis_url: str) -> AsyncIterator[Counted]:
    async with counted(database_url, redis_url) as counts:
        yield counts


@pytest.fixture
def gateway_settings(gateway_counts: Counted, secret_keys: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A gateway that does nothing beside the command: no sweep, and no second connection that asks what types there are."""
    monkeypatch.setattr(dispatcher, "SWEEP", 3600.0)
    monkeypatch.setattr(resources, "DATABASE_CONNECTIONS", 1)
    return Settings(database_url=gateway_counts.database_url, redis_url=gateway_counts.redis_url, secret_keys=secret_keys)


@pytest.fixture
def car_settings(car_settings: dict[str, Any], replica_counts: Counted) -> dict[str, Any]:
    return {**car_settings, "database_url": replica_counts.database_url, "redis_url": replica_counts.redis_url}


async def typed(owner: httpx.AsyncClient) -> httpx.Response:
    return await owner.post("/api/v1/vehicles/CAR/commands", json={"kind": "lock"}, headers={"Prefer": "wait=20"})


async def legacy(owner: httpx.AsyncClient) -> httpx.Response:
    return await owner.put("/api/lock/CAR")


@pytest.mark.parametrize(("call", "find"), [(typed, REACHED), (legacy, OWNED)])
async def test_a_command_takes_five_statements_and_five_round_trips_of_redis(
    gateway: Gateway,
    car: Peer,
    owner: httpx.AsyncClient,
    gateway_counts: Counted,
    replica_counts: Counted,
    call: Callable[[httpx.AsyncClient], Any],
    find: str,
) -> None:
    """The credential, the vehicle, and three of the command; a sixth statement, after the answer, looks for the next one.

    Redis: the session, who is connected, `queued`, the command together with `sent`, and the end. The replica of the car
    publishes the answer.
    """
    for each in range(1 + ROUNDS):
        asking = asyncio.ensure_future(call(owner))
        await car.until_hears(b"C20,")
        car.send(b"c20,0,Locked")
        assert (await asking).status_code == 200
        expected = [STANDS, find, ADD, TAKE_NEXT, END, TAKE_NEXT] * max(each, 1)
        if not each:  # connections are opened, statements prepared and scripts loaded
            await until(partial(gateway_counts.has_run, TAKE_NEXT, 2))
            for counts in (gateway_counts, replica_counts):
                counts.clear()
        else:
            await until(partial(gateway_counts.has_run, "", len(expected)))
            assert [name for name, ran in zip(expected, gateway_counts.statements, strict=True) if name not in ran] == []
            assert gateway_counts.round_trips == ["HGET", "EVALSHA", "PUBLISH", "EVAL", "PUBLISH"] * each
    assert " ".join(replica_counts.round_trips).split().count("PUBLISH") == ROUNDS
    assert [ran for ran in replica_counts.statements if "commands" in ran or "audit" in ran] == []
