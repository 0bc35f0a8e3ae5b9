"""Messages that only pass through."""

from typing import Final

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Server

# A module keeps what it receives in 1,024 bytes (firmware, `OvmsBuffer(1024)`); a line that does not fit is never read and
# nothing after it either. So much of a message makes a line of 1,022 characters and its end: base64 of it after `MP-0 `.
MOST_TO_A_CAR: Final = 1020 // 4 * 3 - len(b"MP-0 ")


def to_car(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """From an app to the car as it is; to a car that is not here, nowhere."""
    if len(message) > MOST_TO_A_CAR:
        server.counters.ignored += 1
    elif room.car is not None:
        room.car.send(message, now)
    elif room.has_car:
        server.replicas.send_to_car(room, peer, message)
