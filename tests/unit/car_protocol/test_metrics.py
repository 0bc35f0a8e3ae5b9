"""What the parts count, as Prometheus is told it."""

import asyncio
from typing import Any

import pytest

from car_protocol.connections.listener import Listener
from car_protocol.metrics import ServerCollector, by_code
from car_protocol.rooms.hub import Peer
from car_protocol.server import Server
from fakes.peers import app, car
from fakes.rooms import vehicle
from fakes.servers import make_server
from ovms.accepting import Acceptor
from ovms.metrics import LoopLag, make_registry
from ovms.shares import NetworkShares


class Scraped:
    """A server, and what a scrape of it says."""

    def __init__(self) -> None:
        self.server: Server = make_server()
        self.listener = Listener([], Acceptor(lambda _: asyncio.Protocol(), 10, NetworkShares(10), log=None))
        self._registry = make_registry(ServerCollector(self.server, self.listener, {}, LoopLag()))

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(name, labels)

    def join(self, peer: Peer, **options: Any) -> None:
        room = self.server.hub.room(vehicle())
        if "epoch" in options:
            self.server.hub.join_car(room, peer, 0.0, **options)
        else:
            self.server.hub.join_watcher(room, peer, 0.0)


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_messages_are_told_by_direction_and_code(scraped: Scraped) -> None:
    scraped.server.counters.received[ord("S")] = 3
    scraped.server.counters.sent[ord("Z")] = 2
    assert scraped.value("ovms_messages_total", direction="received", code="S") == 3
    assert scraped.value("ovms_messages_total", direction="sent", code="Z") == 2
    assert scraped.value("ovms_messages_total", direction="sent", code="S") is None


def test_codes_that_nobody_knows_are_one() -> None:
    counts = [1] * 256
    named = by_code(counts)
    assert named["other"] == 256 - (len(named) - 1)
    assert named["S"] == named["c"] == 1
    assert len(named) < 40


def test_sessions_are_told_by_who_has_them(scraped: Scraped) -> None:
    scraped.join(car(), epoch=1)
    scraped.join(app())
    assert [scraped.value("ovms_sessions", peer=peer) for peer in ("car", "app", "batch")] == [1, 1, 0]


def test_takeovers_are_told_by_where_the_newer_session_is(scraped: Scraped) -> None:
    assert scraped.value("ovms_takeovers_total", by="here") == 0
    scraped.join(car(), epoch=1)
    scraped.join(car(), epoch=2)
    assert scraped.value("ovms_takeovers_total", by="here") == 1
    assert scraped.value("ovms_takeovers_total", by="elsewhere") == 0


async def test_the_state_is_told(scraped: Scraped) -> None:
    def states() -> list[float | None]:
        return [scraped.value("ovms_replica_state", state=state) for state in ("closed", "serving", "draining")]

    assert states() == [1, 0, 0]
    scraped.listener._acceptor.is_accepting = True
    assert states() == [0, 1, 0]
    await scraped.listener.end()
    assert states() == [0, 0, 1]


def test_what_may_happen_is_told_before_it_has(scraped: Scraped) -> None:
    assert scraped.value("ovms_logins_total", result="refused") == 0
