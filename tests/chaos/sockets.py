"""The life of every socket, made of a journal. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from chaos.journal import OPEN, Connected, Event, Lost, Welcomed

CAR: Final = "C"
APP: Final = "A"
BATCH: Final = "B"


@dataclass(slots=True)
class Socket:
    """One connection, from its beginning to its end."""

    number: int
    role: str
    vehicle: str
    replica: str
    connected_at: float
    welcomed_at: float = OPEN
    lost_at: float = OPEN
    by_server: bool = False
    how: str = ""

    @property
    def was_let_in(self) -> bool:
        return self.welcomed_at < OPEN

    @property
    def is_open(self) -> bool:
        """Whether it was let in and has not ended."""
        return self.was_let_in and self.lost_at == OPEN

    def __str__(self) -> str:
        return f"socket {self.number} ({self.role} {self.vehicle} at {self.replica})"


def sockets(events: Iterable[Event]) -> dict[int, Socket]:
    """The sockets by their numbers, in the order in which they connected."""
    found: dict[int, Socket] = {}
    for event in events:
        match event:
            case Connected(at, number, role, vehicle, replica):
                found[number] = Socket(number, role, vehicle, replica, at)
            case Welcomed(at, number):
                found[number].welcomed_at = at
            case Lost(at, number, by_server, how):
                found[number].lost_at, found[number].by_server, found[number].how = at, by_server, how
            case _:
                pass
    return found


def of_vehicles(found: Iterable[Socket], roles: str) -> dict[str, list[Socket]]:
    """Sockets of these roles that were let in, by vehicle."""
    by_vehicle: dict[str, list[Socket]] = {}
    for socket in found:
        if socket.role in roles and socket.was_let_in:
            by_vehicle.setdefault(socket.vehicle, []).append(socket)
    return by_vehicle
