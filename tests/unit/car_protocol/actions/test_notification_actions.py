"""Messages `P` and `p`."""

import asyncio

import pytest

from car_protocol.actions.elsewhere import forward
from car_protocol.actions.notification import notify, notify_as_watcher, subscribe
from car_protocol.rooms.hub import Room
from car_protocol.server import Server
from fakes.peers import FakePeer, app, batch, car
from fakes.rooms import vehicle
from fakes.servers import FakePublisher, FakeSubscriptions, make_server
from fakes.stores import FakeStore

NOW = 5000.0


@pytest.fixture
def server() -> Server:
    return make_server()


@pytest.fixture
def room(server: Server) -> Room:
    return server.hub.room(vehicle())


def test_a_notification_goes_to_who_watches_into_the_history_and_out(server: Server, room: Room) -> None:
    watcher, sender = app(), car()
    server.hub.join_car(room, sender, NOW, epoch=1)
    server.hub.join_watcher(room, watcher, NOW)
    watcher.take(), sender.take()
    notify(server, room, sender, b"PEVA,5,0", NOW)
    asyncio.run(server.recorder.flush())
    assert watcher.take() == [b"PEVA,5,0"]
    assert isinstance(server.publisher, FakePublisher)
    assert server.publisher.messages == [("DEMO", b"PEVA,5,0")]
    store = server.recorder._store
    assert isinstance(store, FakeStore)
    assert [row.message for row in store.notifications] == [b"EVehicle Alert Code: VA/5 (00000000)"]
    assert sender.take() == []


@pytest.mark.parametrize("sender", [app(), batch()])
def test_a_notification_of_an_app_or_script_reaches_watchers_history_and_subscribers(
    server: Server, room: Room, sender: FakePeer
) -> None:
    watcher = app()
    server.hub.join_watcher(room, watcher, NOW)
    notify_as_watcher(server, room, sender, b"PAhello", NOW)
    asyncio.run(server.recorder.flush())
    assert watcher.take() == [b"PAhello"]
    assert isinstance(server.publisher, FakePublisher)
    assert (server.publisher.messages, server.publisher.outside_sessions) == ([], [("DEMO", b"PAhello")])
    store = server.recorder._store
    assert isinstance(store, FakeStore)
    assert [(row.message, row.is_pushed) for row in store.notifications] == [(b"Ahello", True)]


def test_the_echo_of_a_notification_reaches_no_watcher_twice(server: Server, room: Room) -> None:
    watcher = app()
    server.hub.join_watcher(room, watcher, NOW)
    for _ in range(2):
        notify_as_watcher(server, room, watcher, b"PAhello", NOW)
    for _ in range(3):
        forward(server, room, b"PAhello", NOW + 1)
    assert watcher.take() == [b"PAhello"] * 3


def test_an_echo_that_redis_lost_hides_no_later_notification(server: Server, room: Room) -> None:
    watcher = app()
    server.hub.join_watcher(room, watcher, NOW)
    notify_as_watcher(server, room, watcher, b"PAhello", NOW)
    forward(server, room, b"PAhello", NOW + 60)
    assert watcher.take() == [b"PAhello"] * 2


def test_where_the_car_is_here_there_is_no_echo(server: Server, room: Room) -> None:
    watcher = app()
    server.hub.join_watcher(room, watcher, NOW)
    server.hub.join_car(room, car(), NOW, epoch=1)
    watcher.take()
    notify_as_watcher(server, room, watcher, b"PAhello", NOW)
    forward(server, room, b"PAhello", NOW)
    assert watcher.take() == [b"PAhello"] * 2


@pytest.mark.parametrize(
    ("message", "ignored"), [(b"pme,mail,simple,me@example.org", 0), (b"p", 1), (b"pme,pager,simple,1", 1)]
)
def test_a_subscription_is_passed_on_and_never_answered(server: Server, room: Room, message: bytes, ignored: int) -> None:
    asker = app()
    subscribe(server, room, asker, message, NOW)
    assert isinstance(server.subscriptions, FakeSubscriptions)
    assert len(server.subscriptions.asked) == 1 - ignored
    assert server.counters.ignored == ignored
    assert asker.take() == []
