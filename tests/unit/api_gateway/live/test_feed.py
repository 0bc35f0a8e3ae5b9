"""A vehicle's feed: what is heard and what is read make one newest state, and nobody hears what he may not."""

import json
from typing import Any

import pytest

from api_gateway.live.feed import OVERLAP, Feed
from api_gateway.live.inbox import Inbox
from api_gateway.live.loader import newest
from api_gateway.live.tally import Tally
from api_gateway.live.telling import take
from ovms.bus.presence import Connected, Present
from ovms.bus.replicas import Kept, Written
from ovms.bus.subscriptions import Listener
from ovms.db.logins import StoredMessage

ALL = frozenset({"read", "location", "history", "control", "admin"})
CHANNELS = [b"ovms:{DEMO}:7:messages", b"ovms:{DEMO}:7:peers", b"ovms:{DEMO}:7:commands"]


class Channels:
    """Keeps who listens."""

    def __init__(self) -> None:
        self.listeners: dict[bytes, Listener] = {}

    def hear(self, channel: bytes, listener: Listener) -> None:
        self.listeners[channel] = listener

    def leave(self, channel: bytes) -> None:
        del self.listeners[channel]


class Scene:
    """A feed, its clock, and who asked for it to be loaded."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self.loads: list[Feed] = []
        self.channels = Channels()
        self.feed = Feed(7, "DEMO", self.loads.append, lambda: self.now)
        self.feed.listen(self.channels)

    def reader(self, rights: frozenset[str] = ALL, known_until: float | None = None) -> Inbox:
        inbox = Inbox(known_until, lambda: self.now, Tally(lambda: self.now))
        self.feed.join(inbox, rights, known_until)
        return inbox

    def hear(self, message: bytes) -> None:
        """The car's replica publishes a message."""
        self.feed.heard_message(b"5-1 " + message)

    def load(
        self, *messages: bytes, is_whole: bool = True, received_at: float = 9_000.0, sealed_with: str | None = None
    ) -> None:
        stored = {message[0]: StoredMessage(message, received_at, sealed_with) for message in messages}
        self.feed.load(stored, is_whole=is_whole)


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
        assert scene.loads == []
        scene.channels.listeners[channel].subscribed()
    assert scene.loads == [scene.feed]


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
    scene.feed.load_begins()
    scene.hear(b"S76,K")
    scene.load(b"S75,K", b"F3.3")
    assert states(inbox) == {"S": 76.0, "F": "3.3"}


def test_what_was_published_to_nobody_is_told_when_it_is_read_again(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K")
    scene.hear(b"S76,K")
    take(inbox)
    scene.feed.load_begins()
    scene.load(b"S77,K", received_at=scene.now - 100)
    assert states(inbox) == {"S": 77.0}


def test_what_is_known_already_is_not_told_again(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load(b"S75,K")
    take(inbox)
    scene.feed.load_begins()
    scene.load(b"S75,K")
    assert told(inbox) == []


@pytest.mark.parametrize(("received_at", "found"), [(9_999.0, {}), (10_001.0, {"S": 75.0})])
def test_where_not_all_could_be_read_the_later_counts(scene: Scene, received_at: float, found: dict[str, Any]) -> None:
    inbox = scene.reader()
    scene.load()
    scene.hear(b"S76,K")
    take(inbox)
    scene.feed.load_begins()
    scene.load(b"S75,K", is_whole=False, received_at=received_at)
    assert states(inbox) == found


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
    assert [(kind, data.get("code")) for kind, data in told(inbox)] == [("state", "S")]


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
    scene.load(b"DsEcReT", sealed_with="key")
    scene.hear(b"EMSsEcReT")
    waiting = take(inbox)
    assert not any(b"sEcReT" in event.data for event, _ in waiting)
    assert {json.loads(event.data)["code"] for event, _ in waiting} == {"D", "S"}


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
    scene.hear(message)
    assert told(inbox) == []


def test_who_is_connected_is_told_when_it_changes(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load()
    for at, apps in ((1, 1), (2, 1), (3, 2), (2, 5)):
        scene.feed.is_present(Present({"a": Connected(1, apps, 0)}, at=at))
    assert told(inbox) == [("presence", {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 0})]
    assert told(scene.reader()) == [("presence", {"vehicle": "DEMO", "connected": True, "apps": 2, "batch_clients": 0})]


def test_after_redis_was_away_it_is_read_again_and_what_may_be_missing_is_told(scene: Scene) -> None:
    for channel in CHANNELS:
        scene.channels.listeners[channel].subscribed()
    inbox = scene.reader()
    scene.now = 10_060.0
    scene.load()
    scene.now = 20_000.0
    for channel in CHANNELS:
        scene.channels.listeners[channel].subscribed()
    assert len(scene.loads) == 4
    assert told(inbox) == [("missed", {"since": "1970-01-01T02:47:40Z"})]


def test_where_something_was_dropped_it_is_read_again_and_what_may_be_missing_is_told(scene: Scene) -> None:
    inbox = scene.reader()
    scene.load()
    scene.hear(b"")
    assert scene.loads == [scene.feed]
    assert told(inbox) == [("missed", {"since": "1970-01-01T02:46:40Z"})]


def test_its_channels_can_be_left(scene: Scene) -> None:
    assert list(scene.channels.listeners) == CHANNELS
    scene.feed.leave_channels(scene.channels)
    assert scene.channels.listeners == {}


# ---- what a replica has not written yet


def written(*kept: Kept, token: str | None = "") -> Written:
    return Written(1, 5, 1, token, kept)


def test_what_waits_is_newer_than_what_is_stored() -> None:
    stored = {ord("S"): StoredMessage(b"S1", 1.0, None, 5), ord("D"): StoredMessage(b"D1", 1.0, None, 5)}
    found = newest(stored, written(Kept(b"S2", 2.0, None, 5, 1)))
    assert [found[code].message for code in (ord("S"), ord("D"))] == [b"S2", b"D1"]


def test_a_later_session_elsewhere_is_newer_than_what_waits() -> None:
    stored = {ord("S"): StoredMessage(b"S1", 1.0, None, 6)}
    assert newest(stored, written(Kept(b"S2", 2.0, None, 5, 1)))[ord("S")].message == b"S1"


@pytest.mark.parametrize(("token", "codes"), [("new", {ord("S")}), ("old", {ord("S"), ord("D")}), (None, {ord("S"), ord("D")})])
def test_what_is_sealed_with_a_former_key_is_left_out(token: str | None, codes: set[int]) -> None:
    stored = {ord("S"): StoredMessage(b"S1", 1.0), ord("D"): StoredMessage(b"Dsealed", 1.0, "old")}
    assert set(newest(stored, written(token=token))) == codes
