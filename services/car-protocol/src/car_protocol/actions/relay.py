"""Messages that only pass through."""

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Server
from ovms.protocol.commands import MOST_TO_A_CAR


def to_car(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """From an app to the car as it is; to a car that is not here, nowhere."""
    if len(message) > MOST_TO_A_CAR:
        server.counters.ignored += 1
    elif room.car is not None:
        room.car.send(message, now)
    elif room.has_car:
        server.replicas.send_to_car(room, peer, message)
