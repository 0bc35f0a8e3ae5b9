"""Paranoid mode (manual, message 0x45): what car and apps seal for each other, with a key that this server never has.

`ET<token>` names the key from now on; `EM<code><sealed data>` is a message that only its code tells of. It is kept under that
code and forwarded as it came; nothing here ever opens it.
"""

from typing import Final, Protocol

from car_protocol.actions.commands import SEALED, CommandPorts, answer_oldest, note_command, open_command
from car_protocol.actions.state import StatePorts, tell_state
from car_protocol.rooms.hub import Peer, Room
from ovms.protocol.commands import MOST_TO_A_CAR

LONGEST_TOKEN: Final = 255

_NO_STATE: Final = frozenset(b"AaCEGHPTZfghp")
"""Codes that are no state. A sealed history record cannot be acknowledged, since its number is sealed."""


class SealedPorts(CommandPorts, StatePorts, Protocol):
    """The parts that sealed messages need."""


def from_car(server: SealedPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """A token, a sealed state or a sealed answer."""
    kind, code, data = message[1:2], message[2:3], message[3:]
    if kind == b"T" and 0 < len(message) - 2 <= LONGEST_TOKEN:
        _set_token(server, room, message, now)
    elif kind == b"M" and code == b"c" and data:
        answer_oldest(server, room, SEALED, message, now)
    elif kind == b"M" and data and code[0] not in _NO_STATE:
        _store_and_forward(server, room, message, now)
    else:
        server.counters.ignored += 1


def from_app(server: SealedPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """Sealed, for the car: forwarded as it came; a command is remembered, so that its answer finds the asker.

    Where there is no car the asker hears nothing: an answer that is not sealed would be none to him.
    """
    if message[1:2] != b"M" or not 4 <= len(message) <= MOST_TO_A_CAR:
        server.counters.ignored += 1
    elif room.has_car:
        if message[2:3] == b"C":
            note_command(server, room, SEALED, peer, now)
        _to_car(server, room, peer, message, now)


def _to_car(server: SealedPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    if room.car is None:
        server.replicas.send_to_car(room, peer, message)
        return
    if message[2:3] == b"C":
        open_command(server, room, SEALED, peer, now)
    room.car.send(message, now)


def _set_token(server: SealedPorts, room: Room, message: bytes, now: float) -> None:
    room.paranoid_token = token_of(message)
    server.publisher.publish(room, message)
    server.recorder.put_token(room, room.paranoid_token)
    room.tell_watchers(message, now)


def token_of(message: bytes) -> str:
    """The name of the key in `ET<token>`."""
    return message[2:].decode("utf-8", "replace").replace("\0", "")


def _store_and_forward(server: SealedPorts, room: Room, message: bytes, now: float) -> None:
    server.publisher.publish(room, message)  # first: it gives the message its number
    server.recorder.put_state(room, message[2:], now, room.paranoid_token)
    if room.watchers:
        tell_state(server, room, room.watchers, message[2], message, now)
