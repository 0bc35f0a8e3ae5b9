"""What a message causes: a table by role and code.

The actions of a role stand in a tuple of 256, so that the code byte of a message is the index of its action.
"""

from collections.abc import Callable, Mapping
from typing import Final

from car_protocol.actions import groups, sealed
from car_protocol.actions.commands import answer, command
from car_protocol.actions.history import record, record_acknowledged
from car_protocol.actions.notification import notify, notify_as_watcher, subscribe
from car_protocol.actions.ping import answer_ping, ignore
from car_protocol.actions.relay import to_car
from car_protocol.actions.state import store_and_forward
from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Server
from ovms.identity import Role

Action = Callable[[Server, Room, Peer, bytes, float], None]
"""Called with the parts, the room, who sent the message, the message, and the time on the loop's clock."""


def _table(others: Action, **by_code: Action) -> tuple[Action, ...]:
    return tuple(by_code.get(chr(code), others) for code in range(256))


ROUTES: Final[Mapping[Role, tuple[Action, ...]]] = {
    Role.CAR: _table(
        store_and_forward,
        A=answer_ping,
        a=ignore,
        P=notify,
        H=record,
        h=record_acknowledged,
        c=answer,
        E=sealed.from_car,
        C=ignore,
        G=ignore,
        g=groups.update,
        p=ignore,
    ),
    Role.APP: _table(
        to_car,
        A=answer_ping,
        a=ignore,
        C=command,
        E=sealed.from_app,
        P=notify_as_watcher,
        H=ignore,
        h=ignore,
        c=ignore,
        G=groups.subscribe,
        g=ignore,
        p=subscribe,
    ),
    Role.BATCH: _table(
        ignore, A=answer_ping, C=command, E=sealed.from_app, P=notify_as_watcher, G=groups.subscribe, p=subscribe
    ),
}
