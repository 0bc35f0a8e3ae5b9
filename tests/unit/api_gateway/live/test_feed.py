"""A vehicle's feed: what is heard and what is read make one newest state, and nobody hears what he may not."""

import json
from typing import Any

import pytest

from api_gateway.live.feed import OVERLAP, Feed
from api_gateway.live.inbox import Inbox
from api_gateway.live.tally import Tally
from api_gateway.live.telling import take
from ovms.bus.presence import Connected, Present
from ovms.bus.replicas import Kept, Written
from ovms.bus.subscriptions import Listener
from ovms.db.logins import StoredMessage
from ovms.sync import Version

ALL = frozenset({"read", "location", "history", "control", "admin"})
CHANNELS = [b"ovms:{DEMO}:7:messages", b"ovms:{DEMO}:7:peers", b"ovms:{DEMO}:7:commands"]

OLDER = Version(4, 1)


class Channels:
    """Keeps who listens."""

    def __init__(self) -> None:
        self.listeners: dict[bytes, Listener] = {}

    def hear(self, channel: bytes, listener: Listener) -> None:
        self.listeners[channel] = listener

    def leave(self, channel: bytes) -> None:
        del self.listeners[channel]


class Requests:
    """Keeps what a feed requests."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []

    def locate(self, feed: Feed, request: int) -> None:
        self.made.append(("locate", request))

    def ask(self, feed: Feed, request: int, replica: str) -> None:
        self.made.append((f"ask {replica}", request))

    def read(self, feed: Feed, request: int) -> None:
        self.made.append(("read", request))

    def expect(self, feed: Feed) -> None:
        self.made.append(("expect", 0))

    def take(self, what: str) -> int:
        """The number of the last request, which is of this kind."""
        kind, request = self.made[-1]
        assert kind == what
        return request


class Scene:
    """A feed, its clock, and a car at replica `a`, in session 5."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self.requests = Requests()
        self.channels = Channels()
        self.feed = Feed(7, "DEMO", self.requests, lambda: self.now)
        self.feed.listen(self.channels)
        self.number = 0
        self.token = ""

    def reader(self, rights: frozenset[str] = ALL, known_until: float | None = None) -> Inbox:
        inbox = Inbox(known_until, lambda: self.now, Tally(lambda: self.now))
        self.feed.join(inbox, rights, known_until)
        return inbox

    def hear(self, message: bytes) -> None:
        """The car's replica publishes a message."""
        self.number += 1
        self.feed.heard_message(b"5-%d %b" % (self.number, message))

    def subscribe(self) -> None:
        for channel in CHANNELS:
            self.channels.listeners[channel].subscribed()

    def begin(self) -> int:
        """Begin to read all, for the first time or anew; the request to read PostgreSQL."""
        if self.requests.made[-1][0] == "expect":
            self.subscribe()
        else:
            self.feed.check()
        self.feed.located(self.requests.take("locate"), Present({"a": Connected(5, 0, 0)}, at=1))
        self.feed.answered(self.requests.take("ask a"), Written(1, 5, self.number, self.token, ()))
        return self.requests.take("read")

    def load(
        self,
        *messages: bytes,
        version: Version = OLDER,
        received_at: float = 9_000.0,
        sealed_with: str | None = None,
    ) -> None:
        """Read all; PostgreSQL has these messages, of this version."""
        self.finish(self.begin(), *messages, version=version, received_at=received_at, sealed_with=sealed_with)

    def finish(
        self,
        request: int,
        *messages: bytes,
        version: Version,
        received_at: float = 9_000.0,
        sealed_with: str | None = None,
    ) -> None:
        stored = {message[0]: StoredMessage(message, received_at, sealed_with, *version) for message in messages}
        self.feed.stored(request, stored)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def told(inbox: Inbox) -> list[tuple[str, dict[str, Any]]]:
    return [(event.kind, json.loads(event.data)) for event, _ in take(inbox)]


def states(inbox: Inbox) -> dict[str, Any]:
    """By code, the value that these tests look at; None where it is sealed."""
    looked_at = {"S": "soc", "L": "latitude", "D": "pem_temperature", "F": "version"}
    return {
        data["code"]: None if data["sealed"] else data["values"].get(looked_at[data["code"]])
        for kind, data in told(inbox)
        if kind == "state"
    }


def test_it_is_read_once_all_its_channels_are_joined(scene: Scene) -> None:
    for channel in CHANNELS:
        assert scene.requests.made == [("expect", 0)]
        scene.channels.listeners[channel].subscribed()
    assert [kind for kind, _ in scene.requests.made] == ["expect", "locate"]


def test_a_reader_is_told_what_was_read(scene: Scene) -> None:
    inbox = scene.reader()
    assert told(inbox) == []
    scene.load(b"L1.5,2", b"S75,K")
    assert states(inbox) == {"S": 75.0, "L": 1.5}


def test_who_comes_later_is_told_at_once(scene: Scene) -> None:
    scene.reader()
    scene.load(b"S75,K")
    scene.hear(b"S76,K")
    assert states(scene.reader()) == {"S": 76.0}


def test_what_is_heard_while_it_is_read_is_the_newer(scene: Scene) -> None:
    inbox = scene.reader()
    request = scene.begin()
    scene.hear(b"S76,K")
    scene.finish(request, b"S75,K", b"F3.3", version=OLDER)
    assert states(inbox) == {"S": 76.0, "F": "3.3"}


@pytest.mark.parametrize(("number", "found"), [(1, {}), (2, {}), (3, {"S": 77.0})])
def test_what_is_read_again_is_sent_only_where_it_is_newer(scene: Scene, number: int, found: dict[str, Any]) -> None:
    inbox = scene.reader()
    scene.load()
    scene.hear(b"S75,K")
    scene.hear(b"S76,K")
    take(inbox)
    scene.load(b"S77,K", version=Version(5, number), received_at=scene.now + 100)
    assert states(inbox) == found


def test_a_state_does_not_go_back_after_its_replica_has_crashed(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K", version=Version(5, 1))
    scene.number = 1
    scene.hear(b"S76,K")
    take(inbox)
    scene.feed.check()
    scene.feed.located(scene.requests.take("locate"), Present(at=2))
    scene.finish(scene.requests.take("read"), b"S75,K", version=Version(5, 1))
    assert states(inbox) == {}
    assert states(scene.reader()) == {"S": 76.0}


def test_what_waits_to_be_committed_is_sent(scene: Scene) -> None:
    inbox = scene.reader()
    scene.subscribe()
    scene.feed.located(scene.requests.take("locate"), Present(owner="a", at=1))
    scene.feed.answered(scene.requests.take("ask a"), Written(1, 0, 0, None, (Kept(b"S76,K", 9_500.0, None, 5, 2),)))
    scene.finish(scene.requests.take("read"), b"S75,K", b"F3.3", version=Version(5, 1))
    assert states(inbox) == {"S": 76.0, "F": "3.3"}


def test_what_is_known_already_is_not_told_again(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K")
    take(inbox)
    scene.load(b"S75,K")
    assert told(inbox) == []


def test_a_lost_message_is_noticed_at_the_next_one(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load()
    take(inbox)
    scene.number += 1
    scene.hear(b"F3.3")
    assert [kind for kind, _ in told(inbox)] == ["missed", "state"]
    scene.requests.take("locate")


def test_readers_that_wait_for_a_replica_are_served_with_what_is_stored(scene: Scene) -> None:
    inbox = scene.reader()
    scene.subscribe()
    scene.feed.located(scene.requests.take("locate"), Present({"a": Connected(5, 0, 0)}, at=1))
    scene.requests.take("ask a")
    scene.feed.overdue()
    scene.finish(scene.requests.take("read"), b"S75,K", version=OLDER)
    assert states(inbox) == {"S": 75.0}


def test_a_replica_that_does_not_answer_is_looked_for_again(scene: Scene) -> None:
    scene.reader()
    scene.subscribe()
    scene.feed.located(scene.requests.take("locate"), Present({"a": Connected(5, 0, 0)}, at=1))
    scene.feed.timed_out(scene.requests.take("ask a"))
    scene.requests.take("locate")


def test_what_a_store_has_not_executed_is_requested_again(scene: Scene) -> None:
    scene.reader()
    request = scene.begin()
    scene.feed.unavailable(request)
    assert scene.requests.take("read") > request


def test_who_comes_back_is_told_what_has_changed(scene: Scene) -> None:
    scene.reader()
    scene.load(b"D1", received_at=5_000.0)
    scene.load(b"S75,K", received_at=6_000.0 - OVERLAP + 1)
    scene.load(b"F3.3", received_at=6_000.0 - OVERLAP)
    assert states(scene.reader(known_until=6_000.0)) == {"S": 75.0}


def test_new_units_are_those_of_all_values(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K", b"D1,2,3,4,5,6,7")
    assert {data["units"]["trip"] for kind, data in told(inbox) if kind == "state" and data["code"] == "D"} == {"km"}
    scene.hear(b"S75,M")
    assert {data["code"] for _, data in told(inbox)} == {"S", "D"}


@pytest.mark.parametrize("rights", [frozenset({"read"}), frozenset({"read", "history"})])
def test_where_it_is_is_told_to_those_with_the_scope(scene: Scene, rights: frozenset[str]) -> None:
    before = scene.reader(rights)
    scene.load(b"S75,K", b"L1.5,2")
    scene.hear(b"L1.6,2")
    scene.hear(b"EMLsealed")
    later = scene.reader(rights)
    for inbox in (before, later):
        assert set(states(inbox)) == {"S"}


def test_notifications_are_told_to_those_with_the_scope(scene: Scene) -> None:
    may, may_not = scene.reader(frozenset({"read", "history"})), scene.reader(frozenset({"read", "location", "control"}))
    scene.hear(b"PAlow")
    assert [(kind, data["text"]) for kind, data in told(may)] == [("notification", "low")]
    assert told(may_not) == []


def test_where_it_is_is_left_out_of_what_others_are_notified_of(scene: Scene) -> None:
    may, may_not = scene.reader(ALL), scene.reader(ALL - {"location", "admin"})
    scene.hear(b"PAMoved 25m (@48.208493,16.373118)")
    assert [data["text"] for _, data in told(may)] == ["Moved 25m (@48.208493,16.373118)"]
    assert [data["text"] for _, data in told(may_not)] == ["Moved 25m (@…,…)"]


@pytest.mark.parametrize("scope", ["control", "admin"])
def test_a_command_is_told_to_those_with_its_scope(scene: Scene, scope: str) -> None:
    may, may_not = scene.reader(frozenset({"read", scope})), scene.reader(ALL - {scope})
    command = {"id": "1", "vehicle": "DEMO", "scope": scope, "state": "sent"}
    scene.feed.heard_command(json.dumps(command).encode())
    assert told(may) == [("command", command)]
    assert told(may_not) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"scope": "none"}', b"\xff"])
def test_what_is_no_command_is_an_error(scene: Scene, body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        scene.feed.heard_command(body)


def test_a_scope_that_is_lost_takes_what_waits_with_it(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K", b"L1.5,2")
    scene.hear(b"PAlow")
    scene.feed.join(inbox, frozenset({"read"}), None)
    assert [(kind, data.get("code")) for kind, data in told(inbox)] == [("state", "S"), ("presence", None)]


def test_a_scope_that_is_won_is_told_of(scene: Scene) -> None:
    inbox = scene.reader(frozenset({"read"}))
    scene.load(b"S75,K", b"L1.5,2")
    take(inbox)
    scene.feed.join(inbox, ALL, None)
    assert states(inbox)["L"] == 1.5


def test_of_what_a_scope_that_is_won_shows_nothing_was_known_before(scene: Scene) -> None:
    scene.reader()
    scene.load(b"L1.5,2", received_at=5_000.0)
    inbox = scene.reader(frozenset({"read"}), known_until=9_000.0)
    scene.feed.join(inbox, ALL, 9_000.0)
    assert states(inbox) == {"L": 1.5}


def test_who_has_left_is_told_nothing(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K")
    scene.feed.leave(inbox)
    scene.hear(b"S76,K")
    assert told(inbox) == []
    assert not scene.feed.is_watched


def test_who_leaves_before_it_is_read_waits_for_nothing(scene: Scene) -> None:
    inbox = scene.reader()
    assert not inbox._whole.is_set()
    scene.feed.leave(inbox)
    assert inbox._whole.is_set()


def test_of_sealed_records_only_the_code_is_told(scene: Scene) -> None:
    inbox = scene.reader()
    scene.token = "key"
    scene.load(b"DsEcReT", sealed_with="key")
    scene.hear(b"EMSsEcReT")
    waiting = take(inbox)
    assert not any(b"sEcReT" in event.data for event, _ in waiting)
    assert {json.loads(event.data).get("code") for event, _ in waiting} == {None, "D", "S"}


def test_another_key_ends_what_was_sealed(scene: Scene) -> None:
    scene.reader()
    scene.load(b"F3.3")
    scene.hear(b"ETone")
    scene.hear(b"EMDsealed")
    scene.hear(b"ETone")
    assert states(scene.reader()) == {"D": None, "F": "3.3"}
    scene.hear(b"ETtwo")
    assert states(scene.reader()) == {"F": "3.3"}


@pytest.mark.parametrize("message", [b"c7,0,done", b"x1,2", b"T5"])
def test_what_is_no_record_is_not_told(scene: Scene, message: bytes) -> None:
    inbox = scene.reader()
    scene.load()
    take(inbox)
    scene.hear(message)
    assert told(inbox) == []


def test_who_is_connected_is_told_when_it_changes(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load()
    told(inbox)
    for at, apps in ((2, 1), (3, 1), (4, 2), (3, 5)):
        replicas = {"a": [5, apps, 0]}
        body = json.dumps({"replicas": replicas, "http": 0, "http_until": 0, "at": f"0.{at}"})
        scene.feed.heard_peers(body.encode())
    assert told(inbox) == [("presence", {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 0})]
    assert told(scene.reader()) == [("presence", {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 0})]


def test_after_redis_was_away_it_is_read_again_and_what_may_be_missing_is_told(scene: Scene) -> None:
    inbox = scene.reader()
    scene.now = 10_060.0
    scene.load()
    take(inbox)
    scene.now = 20_000.0
    scene.subscribe()
    scene.requests.take("locate")
    assert told(inbox) == [("missed", {"since": "1970-01-01T02:47:40Z"})]


@pytest.mark.parametrize(("number", "is_news"), [(0, False), (1, True)])
def test_a_position_that_differs_shows_that_something_was_dropped(scene: Scene, number: int, is_news: bool) -> None:
    inbox = scene.reader()
    scene.load()
    take(inbox)
    scene.feed.heard_message(b"5-%d " % number)
    assert (scene.requests.made[-1][0] == "locate") == is_news
    assert told(inbox) == ([("missed", {"since": "1970-01-01T02:46:40Z"})] if is_news else [])


def test_a_notification_of_no_session_has_no_place_among_states(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load()
    take(inbox)
    scene.feed.heard_message(b"0-0 PAlow")
    assert [kind for kind, _ in told(inbox)] == ["notification"]
    assert scene.requests.made[-1][0] == "read"


def test_its_channels_can_be_left(scene: Scene) -> None:
    assert list(scene.channels.listeners) == CHANNELS
    scene.feed.leave_channels(scene.channels)
    assert scene.channels.listeners == {}
