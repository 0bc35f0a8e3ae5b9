"""A recorder on a store in memory, and rows for it."""

from collections.abc import Callable

from car_protocol.storage.recorder import Recorder
from fakes.clocks import wall_clock
from fakes.stores import FakeStore
from ovms.db.writer import HistoryRow

NOW = 1000.0
WALL_OFFSET = 1_700_000_000.0


def recorder(
    store: FakeStore,
    *,
    limit: int = 1_000_000,
    tick: float = 0.0,
    resumed: Callable[[], None] = lambda: None,
    monotonic: Callable[[], float] = lambda: NOW,
    keeps_state_history: bool = False,
) -> Recorder:
    return Recorder(
        store,
        monotonic=monotonic,
        clock=wall_clock(WALL_OFFSET),
        tick=tick,
        limit=limit,
        keeps_state_history=keeps_state_history,
        resumed=resumed,
    )


def row(number: int, *, ack: str | None = None, at: int = 1_700_001_000, data: bytes = b"x", vehicle: int = 1) -> HistoryRow:
    return HistoryRow(vehicle, "*-LOG-Trip", number, at, data, at + 86400, ack)


def states(store: FakeStore) -> dict[tuple[int, str], bytes]:
    return {key: kept.data for key, kept in store.states.items()}
