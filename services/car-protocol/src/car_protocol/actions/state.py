"""State: kept as the newest message of its code, published, and sent on."""

from collections.abc import Iterable
from typing import Final, Protocol

from car_protocol.rooms.hub import AGE_ZERO, Hearer, Peer, Room
from car_protocol.rooms.publisher import Publisher
from car_protocol.server import Counters
from car_protocol.storage.recorder import Recorder
from car_protocol.storage.sampler import SAMPLED, Sampler

LONGEST_STORED: Final = 64 * 1024

_STATE: Final = ord("S")
_FIRMWARE: Final = ord("F")


class StatePorts(Protocol):
    """The parts that states need."""

    counters: Counters
    publisher: Publisher
    recorder: Recorder
    sampler: Sampler
    version: bytes


def store_and_forward(server: StatePorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """Keep, publish and forward a car's message."""
    code = message[0]
    # Firmware 1.2.0 doubles the comma after the mode in performance mode; the reference mends it, apps rely on that.
    if code == _STATE and b",performance,," in message:
        message = message.replace(b",performance,,", b",performance,", 1)
    if code in SAMPLED:
        server.sampler.see(room.vehicle, message, now)
    server.publisher.publish(room, message)  # first: it gives the message its number
    if len(message) <= LONGEST_STORED:
        server.recorder.put_state(room, message, now)
    else:
        server.counters.unstored += 1
    if room.watchers:
        tell_state(server, room, room.watchers, code, message, now)


def tell_state(server: StatePorts, room: Room, watchers: Iterable[Hearer], code: int, message: bytes, now: float) -> None:
    """Send a state of this code to who watches, then its age, and after `F` the server's version."""
    room.heard[code].note(message, now)
    for watcher in watchers:
        watcher.send(message, now)
        if code == _FIRMWARE:
            watcher.send(b"f" + server.version, now)
        watcher.send(AGE_ZERO, now)
