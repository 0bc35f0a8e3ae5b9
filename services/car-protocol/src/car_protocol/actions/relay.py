"""Messages that only pass through."""

from typing import Protocol

from car_protocol.rooms.hub import Peer, Room
from car_protocol.rooms.replicas import Replicas
from car_protocol.server import Counters
from ovms.protocol.commands import MOST_TO_A_CAR


class RelayPorts(Protocol):
    """The parts that messages that are passed on need."""

    counters: Counters
    replicas: Replicas


def to_car(server: RelayPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """From an app to the car as it is; to a car that is not here, nowhere."""
    if len(message) > MOST_TO_A_CAR:
        server.counters.ignored += 1
    elif room.car is not None:
        room.car.send(message, now)
    elif room.has_car:
        server.replicas.send_to_car(room, peer, message)
