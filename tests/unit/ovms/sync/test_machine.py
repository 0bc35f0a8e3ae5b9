"""A view with a caller whose requests fail, take long and are answered out of order, and a channel that loses messages."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ovms.sync import (
    NO_VERSION,
    Answer,
    Ask,
    Deliver,
    DeliverToken,
    Effect,
    Locate,
    Missed,
    Phase,
    Read,
    Row,
    Snapshot,
    Version,
    View,
    display_order,
)

CODES = st.sampled_from("SDL")
Item: TypeAlias = Callable[[], list[Effect]]


class Watcher:
    """What one watcher has been sent."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {}
        self.token = ""
        self.waits = True


class ViewOfOneCar(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.view = View()
        self.session, self.number, self.is_connected, self.keys = 0, 0, False, 0
        self.unwritten: dict[int, Row] = {}
        self.unwritten_token = self.stored_token = self.token = ""
        self.stored: dict[int, Row] = {}
        self.newest: dict[int, Row] = {}
        self.last: dict[int, Version] = {}
        self.channel: deque[Item] = deque()
        self.is_subscribed = False
        self.open: list[Locate | Ask | Read] = []
        self.asked = 0
        self.watchers: list[Watcher] = []

    # ---- the car and its replica

    @rule()
    def connect(self) -> None:
        self.session, self.number, self.is_connected = self.session + 1, 0, True
        self.publish_presence()

    @precondition(lambda self: self.is_connected)
    @rule()
    def disconnect(self) -> None:
        self.is_connected = False
        self.publish_presence()

    def publish_presence(self) -> None:
        session = self.session if self.is_connected else 0
        self.publish(lambda: self.view.receive_presence(session))

    @precondition(lambda self: self.is_connected)
    @rule(code=CODES, is_encrypted=st.booleans())
    def send_state(self, code: str, is_encrypted: bool) -> None:
        version, token = self.next_version(), self.token if is_encrypted and self.token else None
        row = Row(f"{code}{version}".encode(), 0.0, token, version)
        self.unwritten[ord(code)] = self.newest[ord(code)] = row
        on_the_wire = row if token is None else row._replace(encrypted_with="")
        self.publish(lambda: self.view.receive_state(on_the_wire))

    @precondition(lambda self: self.is_connected)
    @rule()
    def send_token(self) -> None:
        version, self.keys = self.next_version(), self.keys + 1
        token = self.token = self.unwritten_token = f"k{self.keys}"
        self.publish(lambda: self.view.receive_token(version, token))

    @precondition(lambda self: self.is_connected)
    @rule()
    def send_notification(self) -> None:
        version = self.next_version()
        self.publish(lambda: self.view.receive_other(version))

    def next_version(self) -> Version:
        self.number += 1
        return Version(self.session, self.number)

    @rule()
    def flush(self) -> None:
        self.stored |= self.unwritten
        self.stored_token = self.unwritten_token or self.stored_token
        self.unwritten, self.unwritten_token = {}, ""

    # ---- the channel

    def publish(self, item: Item) -> None:
        if self.is_subscribed:
            self.channel.append(item)

    @precondition(lambda self: self.channel)
    @rule()
    def receive(self) -> None:
        self.carry_out(self.channel.popleft()())

    @precondition(lambda self: self.channel)
    @rule()
    def lose(self) -> None:
        self.channel.popleft()

    @precondition(lambda self: self.channel)
    @rule()
    def delay(self) -> None:
        self.channel.rotate(-1)

    @precondition(lambda self: self.session)
    @rule()
    def publish_position(self) -> None:
        position = Version(self.session, self.number)
        self.publish(lambda: self.view.receive_position(position))

    @rule()
    def subscribe(self) -> None:
        self.channel.clear()
        self.is_subscribed = True
        self.carry_out(self.view.subscribed())

    @rule()
    def lose_subscription(self) -> None:
        self.channel.clear()
        self.is_subscribed = False
        self.carry_out(self.view.unsubscribed())

    # ---- the caller

    @rule()
    def join(self) -> None:
        watcher = Watcher()
        self.watchers.append(watcher)
        if self.view.is_complete:
            self.send_snapshot(watcher)

    @rule()
    def wait_a_second(self) -> None:
        self.carry_out(self.view.overdue())

    @rule()
    def wait_a_minute(self) -> None:
        self.carry_out(self.view.check())

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        self.execute(self.open.pop(data.draw(st.integers(0, len(self.open) - 1))))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        effect = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        result = self.view.timed_out if isinstance(effect, Ask) else self.view.unavailable
        self.carry_out(result(effect.request))

    def execute(self, effect: Locate | Ask | Read) -> None:
        match effect:
            case Locate(request):
                session = self.session if self.is_connected else 0
                self.carry_out(self.view.located(request, "a" if self.session else "", session))
            case Ask(request):
                self.asked = request
                position = Version(self.session, self.number) if self.is_connected else NO_VERSION
                answer = Answer(position, self.token, tuple(self.unwritten.values()))
                self.publish(lambda: self.view.answered(request, answer))
            case Read(request):
                valid = [row for row in self.stored.values() if row.encrypted_with in (None, self.stored_token)]
                self.carry_out(self.view.stored(request, valid, self.stored_token))

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Locate() | Ask() | Read():
                    self.open.append(effect)
                case Deliver(rows):
                    for row in rows:
                        self.deliver(row)
                case DeliverToken(token):
                    for watcher in self.joined():
                        watcher.token = token
                case Snapshot():
                    for watcher in set(self.watchers).difference(self.joined()):
                        self.send_snapshot(watcher)
                case _:
                    assert isinstance(effect, Missed)

    def joined(self) -> list[Watcher]:
        return [watcher for watcher in self.watchers if not watcher.waits]

    def deliver(self, row: Row) -> None:
        code = row.message[0]
        assert row.version > self.last.get(code, NO_VERSION)
        self.last[code] = row.version
        for watcher in self.joined():
            watcher.rows[code] = row.message

    def send_snapshot(self, watcher: Watcher) -> None:
        watcher.rows |= {row.message[0]: row.message for row in self.view.shown()}
        watcher.token, watcher.waits = self.view.token, False

    # ---- when everything has come to rest

    def teardown(self) -> None:
        if not self.is_subscribed:
            self.subscribe()
        self.flush()
        self.settle()
        self.wait_a_minute()
        self.settle()
        assert self.view.is_complete
        assert self.view.position == (Version(self.session, self.number) if self.is_connected else NO_VERSION)
        assert self.view.token == self.token
        expected = [self.newest[code] for code in sorted(self.newest, key=display_order)]
        readable = [row for row in expected if row.encrypted_with in (None, self.token)]
        # Of a code whose newest row nobody can decrypt PostgreSQL gives none, and an older one may be shown.
        hidden = {row.message[0] for row in expected} - {row.message[0] for row in readable}
        assert [row for row in self.view.shown() if row.message[0] not in hidden] == readable
        for watcher in self.watchers:
            assert not watcher.waits
            assert watcher.token == self.token
            assert {row.message[0]: row.message for row in readable}.items() <= watcher.rows.items()

    def settle(self) -> None:
        for _ in range(1000):
            if self.channel:
                self.receive()
            elif self.open:
                self.execute(self.open.pop(0))
            elif self.view.phase is Phase.ASKING:
                self.carry_out(self.view.timed_out(self.asked))
            else:
                return
        raise AssertionError("the view never comes to rest")


ViewOfOneCar.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestView = ViewOfOneCar.TestCase
