"""A room with everybody in it."""

import asyncio

from car_protocol.rooms.hub import Elsewhere, Room
from car_protocol.server import Server
from fakes.peers import FakePeer, app, batch, car
from fakes.rooms import vehicle
from fakes.servers import FakePublisher, make_server
from fakes.stores import FakeStore
from ovms.db.writer import HistoryRow

NOW = 5000.25


class Scene:
    """A car, an app and a batch client of one vehicle, who have forgotten their greeting."""

    def __init__(self) -> None:
        self.server: Server = make_server()
        self.room: Room = self.server.hub.room(vehicle())
        self.car, self.app, self.batch = car(), app(), batch()
        self.server.hub.join_car(self.room, self.car, NOW, epoch=1)
        for watcher in (self.app, self.batch):
            self.server.hub.join_watcher(self.room, watcher, NOW)
        self.car.take(), self.app.take()

    def leave(self, peer: FakePeer) -> None:
        self.server.hub.leave(self.room, peer, NOW)
        self.car.take(), self.app.take(), self.batch.take()

    def move_car(self) -> None:
        """The car has gone to another replica."""
        self.leave(self.car)
        self.server.hub.changed_elsewhere(self.room, Elsewhere(session=self.room.epoch + 1, replica="there"), NOW)
        self.app.take(), self.batch.take()

    def take(self) -> dict[str, list[bytes]]:
        """What each who heard something was sent since the last call."""
        heard = {"car": self.car.take(), "app": self.app.take(), "batch": self.batch.take()}
        return {name: messages for name, messages in heard.items() if messages}

    @property
    def publisher(self) -> FakePublisher:
        assert isinstance(self.server.publisher, FakePublisher)
        return self.server.publisher

    @property
    def published(self) -> list[tuple[str, bytes]]:
        return self.publisher.messages

    @property
    def told_elsewhere(self) -> list[tuple[bytes, bytes]]:
        """What other replicas were told: channel and body."""
        return self.publisher.bodies

    @property
    def ignored(self) -> int:
        return self.server.counters.ignored

    def waiting(self) -> dict[str, bytes]:
        return {chr(code): kept.message for code, kept in self.server.recorder.pending(self.room.vehicle).items()}

    def notifications(self) -> list[bytes]:
        """The notifications, after they have been written."""
        asyncio.run(self.server.recorder.flush())
        store = self.server.recorder._store
        assert isinstance(store, FakeStore)
        return [row.message for row in store.notifications]

    def rows(self) -> list[HistoryRow]:
        """The records, after they have been written."""
        asyncio.run(self.server.recorder.flush())
        store = self.server.recorder._store
        assert isinstance(store, FakeStore)
        return list(store.history)
