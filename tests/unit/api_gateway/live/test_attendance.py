"""Whether a reader may still be told: he is not where that cannot be found out."""

import asyncio
from typing import Any

import pytest

from api_gateway.auth.authenticator import Caller
from api_gateway.errors import AuthenticationFailed
from api_gateway.live.attendance import FAULT, Attendances
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

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def check_standing(self, caller: Caller) -> None:
        if self._error is not None:
            raise self._error


class Hub:
    """Keeps who has joined which vehicle, knowing what."""

    def __init__(self) -> None:
        self.joined: list[tuple[str, float | None]] = []

    def join(self, vehicle: Reached, inbox: Inbox, rights: frozenset[str], known_until: float | None) -> None:
        self.joined.append((vehicle.vehicle_id, known_until))

    def leave(self, vehicle: int, inbox: Inbox) -> None:
        pass


def attendances(hub: Hub, error: Exception | None = None) -> Attendances:
    parts: list[Any] = [hub, Authenticator(error), None, None]
    return Attendances(*parts, every=0.001)


@pytest.mark.parametrize(
    ("error", "ending"),
    [(AuthenticationFailed(), Ending("Authentication failed", 4401)), (RuntimeError("a bug"), FAULT)],
)
async def test_he_is_told_no_more_where_he_may_not_be_or_nobody_knows(error: Exception, ending: Ending) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    inbox = Inbox(None, lambda: 0.0, Tally(lambda: 0.0))

    async def find() -> dict[Reached, frozenset[str]]:
        return {CAR: ALL}

    async with attendances(Hub(), error).attending(CALLER, inbox, find, watches=False):
        await until(lambda: inbox.ends is not None)
    assert inbox.ends == ending


async def test_of_a_vehicle_that_is_added_he_knows_nothing() -> None:
    hub, inbox, audience = Hub(), Inbox(5.0, lambda: 0.0, Tally(lambda: 0.0)), {CAR: ALL}

    async def find() -> dict[Reached, frozenset[str]]:
        return dict(audience)

    async with attendances(hub).attending(CALLER, inbox, find, watches=False):
        audience[VAN] = ALL
        await until(lambda: ("VAN", None) in hub.joined)
    assert hub.joined[0] == ("CAR", 5.0)
