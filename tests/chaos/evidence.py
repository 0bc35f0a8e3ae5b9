"""What the servers say at the end of a run: tables, presence, the gateways' counts, and what services wrote in their logs."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import httpx
import redis.asyncio

from fixtures.replicas import OWNER_PASSWORD, Rig
from ovms.bus.channels import REPLICAS, connections_key
from ovms.identity import VehicleName

RECORD_TYPE: Final = "*-LOG-Chaos"
_CALL_TIMEOUT: Final = 10.0
"""Seconds a server has for one answer. All answers together have no limit: a loop that is held up needs long for its turns."""

_NAMES: Final = "SELECT vehicle_id, id FROM vehicles"
_STATES: Final = "SELECT vehicle_id, code, data FROM messages JOIN vehicles ON vehicles.id = vehicle"
_RECORDS: Final = (
    "SELECT vehicle_id, record_number, data FROM history JOIN vehicles ON vehicles.id = vehicle WHERE record_type = $1"
)
# What no fault excuses: a bug that ended a connection, a callback or a part.
_CRASH: Final = re.compile(r"Traceback|has died|never retrieved|never awaited|\[error\s*\]|\"level\": ?\"error\"")


class NoEvidence(Exception):
    """A server does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many are connected to a vehicle, as a gateway counts them."""

    cars: int
    apps: int
    batch: int


@dataclass(slots=True)
class Evidence:
    """All of it."""

    states: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By vehicle and code."""
    records: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Vehicle, number and data."""
    counts: dict[str, dict[str, Counts]] = field(default_factory=dict)
    """By gateway and vehicle."""
    owners: dict[str, int] = field(default_factory=dict)
    """How many replicas say that they have a car's session."""
    crashes: dict[str, list[str]] = field(default_factory=dict)
    """Lines of the logs that tell of a bug, by program."""


async def gather(rig: Rig, vehicles: Sequence[str], owners: Sequence[str]) -> Evidence:
    """Ask everything.

    Raises:
        NoEvidence: a server does not answer.
    """
    try:
        states, records = await _ask_postgres(rig.postgres.url)
        names = await _names_of(rig.postgres.url, vehicles)
        held = await _ask_redis(rig.valkey.url, names)
        answers = await asyncio.gather(*(_ask_gateway(gateway.url, owners) for gateway in rig.gateways))
    except (OSError, TimeoutError, asyncpg.PostgresError, httpx.HTTPError, redis.exceptions.RedisError) as error:
        raise NoEvidence(f"{type(error).__name__}: {error}") from error
    counts = {gateway.name: answer for gateway, answer in zip(rig.gateways, answers, strict=True)}
    return Evidence(states, records, counts, held, {program.name: crashes(program.log) for program in rig.programs})


def crashes(log: str) -> list[str]:
    """The telling lines of a log."""
    return [line for line in log.splitlines() if _CRASH.search(line)]


async def _ask_postgres(url: str) -> tuple[dict[tuple[str, str], bytes], list[tuple[str, int, bytes]]]:
    connection = await asyncpg.connect(url, timeout=_CALL_TIMEOUT, command_timeout=_CALL_TIMEOUT)
    try:
        states = {(row[0], row[1]): row[2] for row in await connection.fetch(_STATES)}
        records = [(row[0], row[1], row[2]) for row in await connection.fetch(_RECORDS, RECORD_TYPE)]
    finally:
        await connection.close()
    return states, records


async def _names_of(url: str, vehicles: Sequence[str]) -> list[VehicleName]:
    connection = await asyncpg.connect(url, timeout=_CALL_TIMEOUT, command_timeout=_CALL_TIMEOUT)
    try:
        names = [VehicleName(*row) for row in await connection.fetch(_NAMES)]
    finally:
        await connection.close()
    return [name for name in names if name.vehicle_id in vehicles]


async def _ask_redis(url: str, vehicles: Sequence[VehicleName]) -> dict[str, int]:
    limits = {"socket_timeout": _CALL_TIMEOUT, "socket_connect_timeout": _CALL_TIMEOUT}
    async with redis.asyncio.Redis.from_url(url, **limits) as client:
        seconds, micros = await client.time()
        live = set(await client.zrangebyscore(REPLICAS, seconds + micros / 1e6, "+inf"))
        pipeline = client.pipeline(transaction=False)
        for vehicle in vehicles:
            pipeline.hgetall(connections_key(vehicle))
        found = await pipeline.execute()
    return {
        vehicle.vehicle_id: sum(int(value.split()[0]) > 0 for replica, value in fields.items() if replica in live)
        for vehicle, fields in zip(vehicles, found, strict=True)
    }


async def _ask_gateway(url: str, owners: Sequence[str]) -> dict[str, Counts]:
    counts = {}
    async with httpx.AsyncClient(base_url=url, timeout=_CALL_TIMEOUT, trust_env=False) as client:
        for owner in owners:
            answer = await client.get("/api/vehicles", params={"username": owner, "password": OWNER_PASSWORD})
            if answer.status_code != 200:
                raise NoEvidence(f"{url}/api/vehicles answers {answer.status_code} to {owner}")
            for listed in answer.json():
                counts[listed["id"]] = Counts(listed["v_net_connected"], listed["v_apps_connected"], listed["v_btcs_connected"])
    return counts
