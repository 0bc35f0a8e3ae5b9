"""The recorder against a model of a few lines, with a store that fails at random."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from car_protocol.storage import lane
from car_protocol.storage import recorder as module
from car_protocol.storage.recorder import Recorder
from fakes.clocks import wall_clock
from fakes.peers import FakePeer
from fakes.rooms import room
from fakes.stores import FakeStore
from ovms.db.writer import StateRow
from unit.car_protocol.storage.recorders import WALL_OFFSET, row

VEHICLES = st.integers(1, 3)
CODES = st.sampled_from(b"SDL")
FAILURES = st.sampled_from([None, None, OSError, TimeoutError, asyncpg.CannotConnectNowError])


def is_state(row: Sequence[object]) -> bool:
    """Whether it is a row of the newest states: the data comes third, and is not the last value as in the state history."""
    return len(row) == len(StateRow._fields) and isinstance(row[2], bytes)


class RecorderMachine(RuleBasedStateMachine):
    """What a car sent last, at all and in each second, is stored or waits; what is acknowledged is stored."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.store, self.now = FakeStore(), 0.0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(lane, "RETRY_AFTER", 0.0)
        self.patch.setattr(module, "STATE_HISTORY_TICK", 0.0)
        self.recorder: Recorder = self.loop.run_until_complete(self.make())
        self.rooms = {key: room(key) for key in range(1, 4)}
        self.newest: dict[tuple[int, str], bytes] = {}
        self.last_of_seconds: dict[tuple[int, str, int], bytes] = {}
        self.peer = FakePeer()
        self.asked: Counter[bytes] = Counter()
        self.running = self.loop.create_task(self.recorder.run())
        self.turn()

    async def make(self) -> Recorder:
        return Recorder(
            self.store,
            monotonic=lambda: self.now,
            clock=wall_clock(WALL_OFFSET),
            tick=0,
            limit=10**6,
            keeps_state_history=True,
            resumed=lambda: None,
        )

    @rule(vehicle=VEHICLES, code=CODES, size=st.integers(0, 20))
    def send_state(self, vehicle: int, code: int, size: int) -> None:
        self.now += 0.25
        data = b"%d" % (4 * self.now) + b"x" * size
        self.rooms[vehicle].message_number += 1
        self.recorder.put_state(self.rooms[vehicle], bytes([code]) + data, self.now)
        self.newest[vehicle, chr(code)] = data
        self.last_of_seconds[vehicle, chr(code), int(self.now + WALL_OFFSET)] = data

    @rule(vehicle=VEHICLES, number=st.integers(1, 4), late=st.integers(0, 2))
    def send_record(self, vehicle: int, number: int, late: int) -> None:
        """The same record again and again, up to two seconds off."""
        ack = f"{vehicle}{number}"
        answer = b"h" + ack.encode()
        record = row(number, ack=ack, at=1000 + late, data=ack.encode(), vehicle=vehicle)
        self.recorder.put_history(record, (self.peer, answer))
        self.asked[answer] += 1

    @rule(failures=st.lists(FAILURES, max_size=3))
    def hold(self, failures: list[type[Exception] | None]) -> None:
        """The store takes its time, and then refuses some of what is under way."""
        self.store.failures = [failure and failure("away") for failure in failures]
        self.store.open.clear()
        self.turn()

    @rule()
    def go_on(self) -> None:
        self.store.open.set()
        self.turn()

    @rule(turns=st.integers(1, 4))
    def wait(self, turns: int) -> None:
        self.turn(turns)

    def turn(self, turns: int = 20) -> None:
        for _ in range(turns):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    @invariant()
    def no_state_is_in_two_statements(self) -> None:
        statements = [rows for rows in self.store.under_way if is_state(rows[0])]
        keys = [row[:2] for rows in statements for row in rows]
        assert len(keys) == len(set(keys))

    @invariant()
    def the_newest_is_stored_or_waits(self) -> None:
        for (vehicle, code), data in self.newest.items():
            waiting = self.recorder.pending(self.rooms[vehicle].vehicle).get(ord(code))
            stored = self.store.states.get((vehicle, code))
            assert (waiting.message[1:] if waiting else stored and stored.data) == data

    @invariant()
    def what_is_acknowledged_is_stored_once(self) -> None:
        stored = Counter(b"h" + (record.ack_code or "").encode() for record in self.store.history)
        assert set(stored.values()) <= {1}
        assert set(self.peer.sent) <= set(stored)
        acknowledged = Counter(self.peer.sent)
        assert all(acknowledged[answer] <= self.asked[answer] for answer in acknowledged)

    def teardown(self) -> None:
        self.running.cancel()
        self.loop.run_until_complete(asyncio.wait([self.running]))
        assert self.running.cancelled(), "it has died of an error"
        self.patch.undo()
        self.store.failures = []
        self.store.open.set()
        self.loop.run_until_complete(self.recorder.flush())
        assert {key: kept.data for key, kept in self.store.states.items()} == self.newest
        assert self.store.state_history == self.last_of_seconds
        assert Counter(self.peer.sent) == self.asked
        assert self.recorder._bytes == 0
        self.loop.close()


RecorderMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRecorder = RecorderMachine.TestCase
