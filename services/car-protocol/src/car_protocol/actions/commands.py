"""Commands from apps to the car, and its answers (manual, messages 0x43 and 0x63).

The protocol gives a command no number of its own, so an answer goes to whoever asked the oldest command of the same number
that is still open; answers that nobody asked for go to everybody who watches.
"""

from typing import Final, Protocol

from car_protocol.rooms.hub import OpenCommand, Peer, Room
from car_protocol.rooms.publisher import Publisher
from car_protocol.rooms.replicas import FarPeer, Replicas
from car_protocol.server import Counters
from car_protocol.settings import Settings
from car_protocol.storage.archive import Archive
from car_protocol.storage.recorder import Recorder
from car_protocol.storage.trail import Trail
from ovms.protocol.commands import COMMAND, MOST_TO_A_CAR, not_connected, read_answer

BY_THE_SERVER: Final = (30, 31, 32)
"""Traffic, history summary and history records: kept here, not in the car."""

SEALED: Final = -1
"""In place of the number of a command or an answer that is sealed: it may be any."""

MOST_OPEN: Final = 256


class CommandPorts(Protocol):
    """The parts that commands and their answers need."""

    archive: Archive
    counters: Counters
    publisher: Publisher
    recorder: Recorder
    replicas: Replicas
    settings: Settings
    trail: Trail


def command(server: CommandPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """`C<n>[,arguments]`: to the car, or answered here; without a car the asker is told so, where the reference is silent."""
    found = COMMAND.match(message)
    if found is None:
        server.counters.ignored += 1
        return
    number = int(found[1])
    if number in BY_THE_SERVER:
        server.archive.ask(room, peer, number, found[2] or b"", now)
    elif not room.has_car:
        peer.send(not_connected(number), now)
    elif len(message) > MOST_TO_A_CAR:
        peer.send(b"c%d,1,Command is too long" % number, now)
    elif room.car is None:
        note_command(server, room, number, peer, now)
        server.replicas.send_to_car(room, peer, message)
    else:
        note_command(server, room, number, peer, now)
        open_command(server, room, number, peer, now)
        room.car.send(message, now)


def answer(server: CommandPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`c<n>,<result>[,…]`: to the asker alone; nowhere, if he has left; to everybody, if there is none."""
    found = read_answer(message)
    if found is None:
        _tell_all(server, room, message, now)
    else:
        number, is_last = found
        answer_oldest(server, room, number, message, now, is_last=is_last)


def note_command(server: CommandPorts, room: Room, number: int, peer: Peer, now: float) -> None:
    """Put a command into the owner's trail, where an app here has given it; whoever is elsewhere is noted there."""
    if not isinstance(peer, FarPeer):
        server.trail.note(room.vehicle, None if number == SEALED else number, server.recorder.wall(now))


def open_command(server: CommandPorts, room: Room, number: int, peer: Peer, now: float) -> None:
    """Remember who asked the car."""
    asked = OpenCommand(number, peer, now + server.settings.timeout_command)
    room.commands = [*room.commands[1 - MOST_OPEN :], asked]


def answer_oldest(server: CommandPorts, room: Room, number: int, message: bytes, now: float, *, is_last: bool = True) -> None:
    """Send an answer to whoever asked the oldest open command of its number, of any number for a sealed answer."""
    asked = _oldest(room, number, now)
    if asked is None:
        _tell_all(server, room, message, now)
        return
    if is_last:
        room.commands.remove(asked)
    asked.asker.send(message, now)


def _tell_all(server: CommandPorts, room: Room, message: bytes, now: float) -> None:
    server.publisher.publish(room, message)
    room.tell_watchers(message, now)


def _oldest(room: Room, number: int, now: float) -> OpenCommand | None:
    if room.commands and room.commands[0].ends_at <= now:
        room.commands = [asked for asked in room.commands if asked.ends_at > now]
    return next((asked for asked in room.commands if number in (asked.number, SEALED)), None)
