"""A replica between fakes of what carries words to and from others."""

from typing import Any, cast

from car_protocol.rooms.hub import Hub, Peer, Room
from car_protocol.rooms.replicas import Replicas
from fakes.rooms import hub
from fakes.servers import FakeChannels, FakePublisher
from ovms.bus.channels import replica_channel
from ovms.db.logins import StoredMessage

NOW, WALL = 5000.0, 1_700_000_000.0


class Scene:
    """A replica of the name `here`, what it has published, and what it was told to say to cars."""

    def __init__(self) -> None:
        self.publisher, self.channels, self.hub = FakePublisher(), FakeChannels(), hub()
        self.said: list[tuple[str, Peer, bytes]] = []
        self.pending: dict[int, dict[int, StoredMessage]] = {}
        self.replicas = Replicas(
            cast("Any", self.publisher),
            cast("Any", self.channels),
            cast("Hub", self.hub),
            say=self._say,
            pending=lambda vehicle: self.pending.get(vehicle, {}),
            monotonic=lambda: NOW,
        )
        self.replicas.renamed("here")

    def hear(self, *bodies: bytes, name: str = "here") -> None:
        """Another replica publishes this on a replica's channel."""
        for body in bodies:
            self.channels.listeners[replica_channel(name).encode()].heard(body)

    def take(self) -> list[tuple[bytes, bytes]]:
        """What was published since the last call: channel and body."""
        bodies, self.publisher.bodies = self.publisher.bodies, []
        return bodies

    def _say(self, room: Room, peer: Peer, message: bytes, now: float) -> None:
        assert now == NOW
        self.said.append((room.vehicle_id, peer, message))
