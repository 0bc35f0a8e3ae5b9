"""Group updates from cars, and subscriptions of apps."""

from typing import Protocol

from car_protocol.rooms.groups import LONGEST_NAME, LONGEST_UPDATE, Groups
from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Counters
from ovms.identity import Role


class GroupPorts(Protocol):
    """The parts that groups need."""

    counters: Counters
    groups: Groups


def update(server: GroupPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`g<group>,<data>` of a car: subscribers get `g<vehicle>,<GROUP>,<data>`."""
    name, comma, data = message[1:].partition(b",")
    if not comma or len(name) > LONGEST_NAME or len(message) > LONGEST_UPDATE:
        server.counters.ignored += 1
        return
    group = name.upper()
    told = b"g%b,%b,%b" % (room.vehicle_id.encode(), group, data)
    server.groups.update(peer, group, told)


def subscribe(server: GroupPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`G<group>`: an app gets the newest update of every car in it, and all that follow; a batch client only the former."""
    name = message[1:].partition(b",")[0]
    if len(name) > LONGEST_NAME:
        server.counters.ignored += 1
        return
    group = name.upper()
    if peer.role is Role.APP:
        server.groups.subscribe(peer, group)
    server.groups.ask(peer, group, now)
