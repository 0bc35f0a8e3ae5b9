"""What a car at another replica says, as its messages channel tells it, for those who watch here."""

from typing import Final

from car_protocol.actions.sealed import token_of
from car_protocol.actions.state import StatePorts, tell_state
from car_protocol.rooms.hub import Room, code_of

_NO_STATE: Final = frozenset(b"Pc")
"""Notifications, and answers that nobody asked for; sealed answers too."""


def forward(server: StatePorts, room: Room, message: bytes, now: float) -> None:
    """Tell the watchers; kept and published it was where the car is."""
    kind = message[:2]
    if kind == b"ET":
        room.paranoid_token = token_of(message)
    code = code_of(message)
    if kind == b"ET" or code in _NO_STATE:
        if not room.echoes.take(message, now):
            room.tell_watchers(message, now)
    else:
        tell_state(server, room, room.hearing(), code, message, now)
