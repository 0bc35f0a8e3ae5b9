"""Whether a reader may still be told: he is not where that cannot be found out."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import RedisError

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import AuthenticationFailed
from api_gateway.live.attendance import FAILED_CHECKS, FAULT, UNCHECKED, Attendances
from api_gateway.live.inbox import Ending, Inbox
from api_gateway.live.tally import Tally
from fixtures.waiting import until
from ovms.bus.sessions import Login
from ovms.db.reach import Reached

CAR, VAN = (Reached(key, vehicle_id, 1, "demo", "*") for key, vehicle_id in ((7, "CAR"), (8, "VAN")))
CALLER = Caller(Login(1, "demo", "*", "proof"), None)
ALL = frozenset({"read"})


class Authenticator:
    """Raises what it is told to."""

    def __init__(self, error: Exception | None, failures: float) -> None:
        self._error = error
        self._failures = failures
        self.checks = 0

    async def check_standing(self, caller: Caller) -> None:
        self.checks += 1
        if self._error is not None and self.checks <= self._failures:
            raise self._error


class Revocations:
    """Keeps whom to call."""

    def __init__(self) -> None:
        self.rechecks: list[tuple[int, Callable[[], None]]] = []

    def watch(self, owner_id: int, recheck: Callable[[], None]) -> None:
        self.rechecks.append((owner_id, recheck))

    def unwatch(self, owner_id: int, recheck: Callable[[], None]) -> None:
        self.rechecks.remove((owner_id, recheck))


class Hub:
    """Keeps who has joined which vehicle, knowing what."""

    def __init__(self) -> None:
        self.joined: list[tuple[str, float | None]] = []

    def join(self, vehicle: Reached, inbox: Inbox, rights: frozenset[str], known_until: float | None) -> None:
        self.joined.append((vehicle.vehicle_id, known_until))

    def leave(self, vehicle: int, inbox: Inbox) -> None:
        pass


def attendances(hub: Hub, error: Exception | None = None, *, failures: float = math.inf, every: float = 0.001) -> Attendances:
    parts: list[Any] = [hub, Authenticator(error, failures), None, None, Revocations()]
    return Attendances(*parts, every=every)


async def of_one_car() -> dict[Reached, frozenset[str]]:
    return {CAR: ALL}


@pytest.mark.parametrize(
    ("error", "ending"),
    [(AuthenticationFailed(), Ending("Authentication failed", 4401)), (RuntimeError("a bug"), FAULT)],
)
async def test_he_is_told_no_more_where_he_may_not_be_or_nobody_knows(error: Exception, ending: Ending) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    inbox = Inbox(None, lambda: 0.0, Tally(lambda: 0.0))
    async with attendances(Hub(), error).attending(CALLER, inbox, of_one_car, watches=False):
        await until(lambda: inbox.ends is not None)
    assert inbox.ends == ending


@pytest.mark.parametrize("error", [OSError("PostgreSQL is down"), TimeoutError(), RedisError("Redis is down")])
async def test_a_stream_stops_after_two_checks_that_failed_and_not_after_one(error: Exception) -> None:
    inbox = Inbox(None, lambda: 0.0, Tally(lambda: 0.0))
    parts: Any = attendances(Hub(), error, failures=FAILED_CHECKS - 1)
    async with parts.attending(CALLER, inbox, of_one_car, watches=False):
        await until(lambda: parts.authenticator.checks > FAILED_CHECKS + 1)
        assert inbox.ends is None
    parts = attendances(Hub(), error)
    async with parts.attending(CALLER, inbox, of_one_car, watches=False):
        await until(lambda: inbox.ends is not None)
    assert (inbox.ends, parts.authenticator.checks) == (UNCHECKED, FAILED_CHECKS)


async def test_a_revocation_is_followed_by_a_check_at_once() -> None:
    inbox = Inbox(None, lambda: 0.0, Tally(lambda: 0.0))
    parts: Any = attendances(Hub(), AuthenticationFailed(), every=3600)
    async with parts.attending(CALLER, inbox, of_one_car, watches=False):
        await asyncio.sleep(0)
        assert inbox.ends is None
        ((owner_id, recheck),) = parts.revocations.rechecks
        assert owner_id == CALLER.owner_id
        recheck()
        await until(lambda: inbox.ends is not None)
    assert inbox.ends == Ending("Authentication failed", 4401)
    assert parts.revocations.rechecks == []


async def test_of_a_vehicle_that_is_added_he_knows_nothing() -> None:
    hub, inbox, audience = Hub(), Inbox(5.0, lambda: 0.0, Tally(lambda: 0.0)), {CAR: ALL}

    async def find() -> dict[Reached, frozenset[str]]:
        return dict(audience)

    async with attendances(hub).attending(CALLER, inbox, find, watches=False):
        audience[VAN] = ALL
        await until(lambda: ("VAN", None) in hub.joined)
    assert hub.joined[0] == ("CAR", 5.0)
