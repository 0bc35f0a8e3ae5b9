"""Rooms of vehicles that no database knows."""

from car_protocol.rooms.hub import Hub, Room
from ovms.bus.presence import Connected
from ovms.db.logins import Vehicle
from ovms.identity import VehicleName


def vehicle(key: int = 1, vehicle_id: str = "DEMO") -> Vehicle:
    return Vehicle(key, vehicle_id, password=b"", password_key_id="", paranoid_token="")


def publish_head(name: VehicleName) -> bytes:
    return f"head of {name.vehicle_id}".encode()


class FakePresence:
    """Notes the counts of rooms that have changed."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Connected]] = []

    def changed(self, room: Room) -> None:
        self.changes.append((room.vehicle_id, room.connected()))


def hub() -> Hub:
    return Hub(publish_head, FakePresence().changed)


def room(key: int = 1, vehicle_id: str = "DEMO") -> Room:
    return Room(vehicle(key, vehicle_id), publish_head(VehicleName(vehicle_id, key)))
