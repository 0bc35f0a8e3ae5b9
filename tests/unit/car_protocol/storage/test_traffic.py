"""Adding up bytes."""

from typing import Any, cast

from car_protocol.storage.traffic import DAY, TrafficMeter
from ovms.identity import Role

NOON = 20_000 * DAY + DAY / 2


class FakePool:
    """Notes statements, or is away."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.is_away = False

    async def execute(self, _: str, *arguments: Any) -> None:
        if self.is_away:
            raise ConnectionRefusedError
        self.rows += zip(*arguments[:4], strict=True)


class FakeConnection:
    """Has carried something since it was asked last."""

    def __init__(self, meter: TrafficMeter) -> None:
        self.meter = meter
        self.received = 0

    def take_traffic(self) -> None:
        self.meter.add(1, Role.CAR, received=self.received, sent=0)
        self.received = 0


def make_meter(pool: FakePool, connections: list[FakeConnection]) -> TrafficMeter:
    return TrafficMeter(cast("Any", pool), connections, lambda: NOON, 90)


async def test_what_we_send_is_what_the_peer_receives() -> None:
    pool, connections = FakePool(), list[FakeConnection]()
    meter = make_meter(pool, connections)
    meter.add(1, Role.CAR, received=10, sent=3)
    meter.add(1, Role.APP, received=20, sent=4)
    meter.add(1, Role.BATCH, received=99, sent=99)
    await meter.write()
    assert sorted(pool.rows) == [(1, 20_000 * DAY, number, size) for number, size in enumerate([3, 10, 4, 20])]


async def test_what_open_connections_carried_is_written_once() -> None:
    pool, connections = FakePool(), list[FakeConnection]()
    meter = make_meter(pool, connections)
    connections.append(FakeConnection(meter))
    connections[0].received = 7
    await meter.write()
    await meter.write()
    assert pool.rows == [(1, 20_000 * DAY, 1, 7)]


async def test_a_turn_writes_what_was_added_up_before_the_last() -> None:
    pool, connections = FakePool(), list[FakeConnection]()
    meter = make_meter(pool, connections)
    connections.append(FakeConnection(meter))
    for size, written in ((7, []), (8, [7]), (0, [7, 8]), (0, [7, 8])):
        connections[0].received = size
        await meter.turn()
        assert [row[3] for row in pool.rows] == written


async def test_what_could_not_be_written_is_at_the_next_turn() -> None:
    pool, connections = FakePool(), list[FakeConnection]()
    meter = make_meter(pool, connections)
    meter.add(1, Role.CAR, received=10, sent=0)
    await meter.turn()
    pool.is_away = True
    meter.add(1, Role.CAR, received=5, sent=0)
    await meter.turn()
    pool.is_away = False
    await meter.turn()
    assert pool.rows == [(1, 20_000 * DAY, 1, 15)]


async def test_nothing_is_lost_while_postgresql_is_away() -> None:
    pool, connections = FakePool(), list[FakeConnection]()
    meter = make_meter(pool, connections)
    meter.add(1, Role.CAR, received=10, sent=0)
    pool.is_away = True
    await meter.write()
    meter.add(1, Role.CAR, received=5, sent=0)
    pool.is_away = False
    await meter.write()
    assert pool.rows == [(1, 20_000 * DAY, 1, 15)]
