"""A peer that keeps what it is sent."""

from collections.abc import Sequence

from car_protocol.rooms.hub import Room
from ovms.identity import Role


class FakePeer:
    """A connection, as a room and the login desk see it."""

    def __init__(self, role: Role = Role.CAR) -> None:
        self.role = role
        self.address = "192.0.2.1"
        self.sent: list[bytes] = []
        self.closed: list[str] = []
        self.is_gone = False
        self.is_behind = False
        self.room: Room | None = None
        self.is_refused = False
        self.is_held = False
        self.greeting: list[bytes] = []

    def send(self, message: bytes, now: float) -> None:
        self.sent.append(message)

    def take(self) -> list[bytes]:
        """What it was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent

    async def has_read(self) -> None:
        """It reads at once."""

    def close(self, reason: str) -> None:
        self.closed.append(reason)

    def admit(self) -> None:
        self.sent.append(b"admitted")

    def enter(self, room: Room, secret: bytes, server_token: bytes) -> None:
        self.room = room

    def refuse(self) -> None:
        self.is_refused = True

    def hold_back(self) -> None:
        self.is_held = True

    def release(self, greeting: Sequence[bytes]) -> None:
        self.is_held = False
        self.greeting = list(greeting)


def car() -> FakePeer:
    return FakePeer(Role.CAR)


def app() -> FakePeer:
    return FakePeer(Role.APP)


def batch() -> FakePeer:
    return FakePeer(Role.BATCH)
