"""Rooms: who is connected to a vehicle, and who is told what of it."""

import sys

import pytest

from car_protocol.rooms.hub import CLOCK_STEP, MOST_HEARD, Elsewhere, Heard, Hub, Room, Unheard
from fakes.peers import FakePeer, app, batch, car
from fakes.rooms import FakePresence, publish_head, vehicle
from ovms.bus.presence import HttpWatchers

NOW = 1000.0


@pytest.fixture
def presence() -> FakePresence:
    return FakePresence()


@pytest.fixture
def hub(presence: FakePresence) -> Hub:
    return Hub(publish_head, presence.changed)


@pytest.fixture
def room(hub: Hub) -> Room:
    return hub.room(vehicle())


def test_a_vehicle_has_one_room_with_its_head(hub: Hub) -> None:
    first = hub.room(vehicle(1, "DEMO"))
    assert hub.room(vehicle(1, "DEMO")) is first
    assert hub.room(vehicle(2, "Other")) is not first
    assert first.publish_head == b"head of DEMO"
    assert len(hub) == len(list(hub)) == 2


def test_a_car_is_told_who_watches_and_watchers_that_it_came_and_went(hub: Hub, room: Room) -> None:
    module, watching, polling = car(), app(), batch()
    hub.join_watcher(room, watching, NOW)
    hub.join_watcher(room, polling, NOW)
    hub.join_car(room, module, NOW, epoch=1)
    assert module.take() == [b"Z1"]
    assert watching.take() == polling.take() == [b"Z1"]

    hub.leave(room, module, NOW)
    assert watching.take() == polling.take() == [b"Z0"]
    assert module.take() == []
    assert room.car is None


def test_a_car_is_told_of_every_app_and_of_no_batch_client(hub: Hub, room: Room) -> None:
    module, first, second, polling = car(), app(), app(), batch()
    hub.join_car(room, module, NOW, epoch=1)
    assert module.take() == [b"Z0"]
    hub.join_watcher(room, first, NOW)
    hub.join_watcher(room, second, NOW)
    assert module.take() == [b"Z1", b"Z2"]
    hub.join_watcher(room, polling, NOW)
    assert module.take() == []
    assert room.connected() == (1, 2, 1)
    hub.leave(room, polling, NOW)
    assert module.take() == []
    hub.leave(room, first, NOW)
    assert module.take() == [b"Z1"]
    assert room.connected() == (1, 1, 0)


@pytest.mark.parametrize("session", [7, 8])
def test_a_car_whose_states_another_session_refuses_is_closed_and_no_other(hub: Hub, room: Room, session: int) -> None:
    module, watching = car(), app()
    hub.join_watcher(room, watching, NOW)
    hub.join_car(room, module, NOW, epoch=7)
    hub.followed({room.vehicle: 6, room.vehicle + 1: 9}, NOW)
    assert (room.car, module.closed, watching.take()) == (module, [], [b"Z1"])
    hub.followed({room.vehicle: session}, NOW)
    assert (room.car, len(module.closed), watching.take()) == (None, 1, [b"Z0"])
    hub.followed({room.vehicle: 9}, NOW)
    assert hub.takeovers == {"elsewhere": 1}


@pytest.mark.parametrize("outranks", [True, False])
def test_of_two_sessions_with_one_number_that_of_the_greater_replica_name_is_kept(hub: Hub, room: Room, outranks: bool) -> None:
    module = car()
    hub.join_car(room, module, NOW, epoch=7)
    hub.changed_elsewhere(room, Elsewhere(session=7, replica="other", outranks=outranks), NOW)
    assert (room.car is None, bool(module.closed)) == (outranks, outranks)
    assert room.has_car


def test_watchers_elsewhere_count_as_apps_and_only_a_change_is_told(hub: Hub, room: Room) -> None:
    module = car()
    hub.join_car(room, module, NOW, epoch=1)
    hub.join_watcher(room, app(), NOW)
    module.take()
    hub.changed_elsewhere(room, Elsewhere(http=HttpWatchers(2, 5000.0)), NOW)
    hub.changed_elsewhere(room, Elsewhere(http=HttpWatchers(2, 6000.0)), NOW)
    assert module.take() == [b"Z3"]
    assert room.elsewhere.http.until == 6000.0
    hub.changed_elsewhere(room, Elsewhere(apps=3, http=HttpWatchers(2, 6000.0)), NOW)
    assert module.take() == [b"Z6"]
    hub.changed_elsewhere(room, Elsewhere(), NOW)
    assert module.take() == [b"Z1"]
    assert room.connected() == (1, 1, 0)


def test_a_car_that_comes_is_told_of_watchers_elsewhere(hub: Hub, room: Room) -> None:
    module = car()
    hub.join_car(room, module, NOW, epoch=7, elsewhere=Elsewhere(session=6, replica="other", apps=2))
    assert module.take() == [b"Z2"]
    assert room.elsewhere.session == 0


# ---- the car elsewhere


@pytest.fixture
def watching(hub: Hub, room: Room) -> FakePeer:
    """An app that has been told that its car is not here."""
    peer = app()
    hub.join_watcher(room, peer, NOW)
    hub.changed_elsewhere(room, Elsewhere(), NOW)
    peer.take()
    return peer


def test_who_waits_for_his_greeting_learns_there_that_the_car_is_elsewhere(hub: Hub, room: Room) -> None:
    newcomer = app()
    hub.join_watcher(room, newcomer, NOW)
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other"), NOW)
    assert newcomer.take() == []
    assert room.has_car


def test_watchers_are_told_that_a_car_elsewhere_comes_and_goes(hub: Hub, room: Room, watching: FakePeer) -> None:
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other"), NOW)
    assert (watching.take(), room.has_car) == ([b"Z1"], True)
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other", apps=1), NOW)
    assert watching.take() == []
    hub.changed_elsewhere(room, Elsewhere(session=6, replica="third"), NOW)
    assert watching.take() == [b"Z0", b"Z1"]
    hub.changed_elsewhere(room, Elsewhere(), NOW)
    assert (watching.take(), room.has_car) == ([b"Z0"], False)


def test_a_car_that_was_elsewhere_and_comes_here_is_seen_to_go_and_come(hub: Hub, room: Room, watching: FakePeer) -> None:
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other"), NOW)
    watching.take()
    hub.join_car(room, car(), NOW, epoch=6)
    assert watching.take() == [b"Z0", b"Z1"]
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other"), NOW)
    hub.changed_elsewhere(room, Elsewhere(), NOW)
    assert watching.take() == []


def test_a_newer_session_elsewhere_ends_the_one_here(hub: Hub, room: Room, watching: FakePeer, presence: FakePresence) -> None:
    module = car()
    hub.join_car(room, module, NOW, epoch=5)
    watching.take()
    hub.changed_elsewhere(room, Elsewhere(session=6, replica="other"), NOW)
    assert module.closed == ["the car has logged in elsewhere"]
    assert watching.take() == [b"Z0", b"Z1"]
    assert presence.changes[-1] == ("DEMO", (0, 1, 0))
    hub.leave(room, module, NOW)
    assert watching.take() == []


@pytest.mark.parametrize("session", [4, 5])
def test_an_older_session_elsewhere_is_none(hub: Hub, room: Room, watching: FakePeer, session: int) -> None:
    module = car()
    hub.join_car(room, module, NOW, epoch=5)
    hub.changed_elsewhere(room, Elsewhere(session=session, replica="other"), NOW)
    hub.leave(room, module, NOW)
    assert (module.closed, watching.take(), room.has_car) == ([], [b"Z1", b"Z0"], False)


def test_the_newest_car_wins_and_watchers_see_it_go_and_come(hub: Hub, room: Room) -> None:
    first, second, watching = car(), car(), app()
    hub.join_car(room, first, NOW, epoch=1)
    hub.join_watcher(room, watching, NOW)
    first.take(), watching.take()
    hub.join_car(room, second, NOW, epoch=2)
    assert watching.take() == [b"Z0", b"Z1"]
    assert second.take() == [b"Z1"]
    assert first.take() == []
    assert first.closed == ["the car has logged in again"]
    assert room.car is second
    assert room.connected() == (2, 1, 0)


def test_the_end_of_a_replaced_car_changes_nothing(hub: Hub, room: Room, presence: FakePresence) -> None:
    first, second = car(), car()
    hub.join_car(room, first, NOW, epoch=1)
    hub.join_car(room, second, NOW, epoch=1)
    second.take()
    presence.changes.clear()
    hub.leave(room, first, NOW)
    assert room.car is second
    assert hub.room(vehicle()) is room
    assert presence.changes == []
    assert second.take() == []


def test_a_car_that_logs_in_again_stays_in_the_same_room(hub: Hub, room: Room) -> None:
    hub.join_car(room, car(), NOW, epoch=1)
    hub.join_car(room, car(), NOW, epoch=1)
    assert list(hub) == [room]


@pytest.mark.parametrize("peer", [car(), app(), batch()])
def test_a_room_is_forgotten_with_its_last_peer(hub: Hub, room: Room, peer: FakePeer) -> None:
    if peer.role.value == "C":
        hub.join_car(room, peer, NOW, epoch=1)
    else:
        hub.join_watcher(room, peer, NOW)
    assert not room.is_empty()
    hub.leave(room, peer, NOW)
    assert room.is_empty()
    assert len(hub) == 0
    hub.leave(room, peer, NOW)
    assert room.connected() == (0, 0, 0)


def test_the_end_of_a_stranger_changes_nothing(hub: Hub, room: Room, presence: FakePresence) -> None:
    hub.join_car(room, car(), NOW, epoch=1)
    presence.changes.clear()
    hub.leave(room, app(), NOW)
    assert presence.changes == []


def test_every_change_of_the_counts_is_announced(hub: Hub, room: Room, presence: FakePresence) -> None:
    module, watching, polling = car(), app(), batch()
    hub.join_car(room, module, NOW, epoch=1)
    hub.join_watcher(room, watching, NOW)
    hub.join_watcher(room, polling, NOW)
    hub.leave(room, module, NOW)
    hub.leave(room, watching, NOW)
    hub.leave(room, polling, NOW)
    counts = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 0)]
    assert presence.changes == [("DEMO", count) for count in counts]


def test_watchers_hear_in_the_order_in_which_they_came(hub: Hub, room: Room) -> None:
    watchers = [app(), batch(), app()]
    for watcher in watchers:
        hub.join_watcher(room, watcher, NOW)
    room.tell_watchers(b"S1", NOW)
    assert list(room.watchers) == watchers
    assert all(watcher.take() == [b"S1"] for watcher in watchers)


def test_a_watcher_that_leaves_while_all_are_told_harms_nobody(hub: Hub, room: Room) -> None:
    class Leaver(FakePeer):
        def send(self, message: bytes, now: float) -> None:
            hub.leave(room, self, now)

    leaver, other = Leaver(app().role), app()
    hub.join_watcher(room, leaver, NOW)
    hub.join_watcher(room, other, NOW)
    room.tell_watchers(b"S1", NOW)
    assert other.take() == [b"S1"]
    assert room.connected() == (0, 1, 0)


# ---- what is told late


def test_what_is_older_than_what_is_known_changes_nothing(hub: Hub, room: Room, watching: FakePeer) -> None:
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other", at=2000), NOW)
    assert watching.take() == [b"Z1"]
    hub.changed_elsewhere(room, Elsewhere(at=1999), NOW)
    assert (watching.take(), room.has_car) == ([], True)
    hub.changed_elsewhere(room, Elsewhere(at=2000), NOW)
    assert watching.take() == [b"Z0"]


def test_what_is_much_older_is_news_after_a_clock_was_set_back(hub: Hub, room: Room, watching: FakePeer) -> None:
    hub.changed_elsewhere(room, Elsewhere(session=5, replica="other", at=10**15), NOW)
    hub.changed_elsewhere(room, Elsewhere(at=10**15 - CLOCK_STEP), NOW)
    assert watching.take() == [b"Z1", b"Z0"]


def test_a_car_whose_claim_was_answered_late_gives_way_at_once(hub: Hub, room: Room, watching: FakePeer) -> None:
    hub.changed_elsewhere(room, Elsewhere(session=7, replica="other", at=2000), NOW)
    watching.take()
    module = car()
    hub.join_car(room, module, NOW, epoch=6, elsewhere=Elsewhere(apps=9, at=1000))
    assert module.closed == ["the car has logged in elsewhere"]
    assert (room.car, room.has_car, room.elsewhere.session) == (None, True, 7)
    assert watching.take() == [b"Z0", b"Z1", b"Z0", b"Z1"]


# ---- what watchers have heard


def test_of_a_state_that_was_told_only_its_mark_is_kept() -> None:
    heard, state = Heard(), b"S" * 1000
    held = sys.getrefcount(state)
    for number in range(2 * MOST_HEARD):
        heard.note(b"S%d" % number, NOW)
    heard.note(state, NOW + 1)
    assert sys.getrefcount(state) == held
    assert list(heard.states) == [*(hash(b"S%d" % number) for number in range(MOST_HEARD + 1, 2 * MOST_HEARD)), hash(state)]
    assert heard.at == NOW + 1


def test_nothing_is_kept_for_a_watcher_who_has_gone(hub: Hub, room: Room) -> None:
    gone, stays = app(), app()
    for watcher in (gone, stays):
        hub.join_watcher(room, watcher, NOW)
        room.learning[watcher] = Unheard(0.0)
    hub.leave(room, gone, NOW)
    assert list(room.learning) == [stays]
