"""The names of the channels of Redis, which `interface` declares, and of the keys beside them, which are the server's own.

All names of one vehicle carry one hash tag, the upper-cased vehicle id in braces, and so do those of one owner. The vehicle's
number in the database follows the tag: of two vehicles that have the same id, one after the other, nothing that the first one
still publishes, announces or claims reaches the second. So session numbers are per vehicle. They never fall, and only numbers
of one vehicle are compared.

| key | kind | what is in it |
|---|---|---|
| `ovms:{DEMO}:17:connections` | hash | per replica of car-protocol: `<session> <apps> <batch>` connected there |
| `ovms:{DEMO}:17:http` | sorted set | an HTTP session that watches the car, scored by the Unix time at which its lease ends |
| `ovms:{DEMO}:17:session` | hash | the car's newest session, and how often it was thrown out lately; see `presence.claim` |
| `ovms:replicas` | sorted set | a replica of car-protocol, scored by the Unix time at which its lease ends |
| `ovms:replica:<id>:vehicles` | set | the vehicles that a replica has announced, each as `<number> <id>` |
| `ovms:{owner:<id>}:session:<sha256>` | hash | an HTTP session, by the SHA-256 of its id |
| `ovms:{owner:<id>}:sessions` | sorted set | the keys of an owner's HTTP sessions, scored by the time at which each ends |
| `ovms:ready` | string | what readiness writes |
"""

from typing import Final

from ovms.identity import VehicleName, fold_vehicle_id

REPLICAS: Final = "ovms:replicas"
READY: Final = "ovms:ready"


def _of_a_vehicle(vehicle: VehicleName, what: str) -> str:
    return f"ovms:{{{fold_vehicle_id(vehicle.vehicle_id)}}}:{vehicle.number}:{what}"


def messages_channel(vehicle: VehicleName) -> str:
    """Where goes what apps hear from a car."""
    return _of_a_vehicle(vehicle, "messages")


def peers_channel(vehicle: VehicleName) -> str:
    """Where a vehicle's peer counts go at every change."""
    return _of_a_vehicle(vehicle, "peers")


def commands_channel(vehicle: VehicleName) -> str:
    """Where every change of a command for a vehicle goes."""
    return _of_a_vehicle(vehicle, "commands")


def traces_channel(vehicle: VehicleName) -> str:
    """Where goes of which trace a message is, where somebody wants traces."""
    return _of_a_vehicle(vehicle, "traces")


def connections_key(vehicle: VehicleName) -> str:
    """The hash of what each replica of car-protocol has connected."""
    return _of_a_vehicle(vehicle, "connections")


def http_key(vehicle: VehicleName) -> str:
    """The sorted set of HTTP sessions that watch the car."""
    return _of_a_vehicle(vehicle, "http")


def session_key(vehicle: VehicleName) -> str:
    """The car's newest session."""
    return _of_a_vehicle(vehicle, "session")


REMOVALS: Final = "ovms:removals"
"""The channel on which removals of vehicles are published."""


def revocations_channel(owner: int | str) -> str:
    """Return the channel that makes services re-check the credentials and shares of an owner."""
    return f"ovms:{{owner:{owner}}}:revocations"


def owner_session_key(owner: int | str, digest: str) -> str:
    """Return the key of an owner's HTTP session, by the SHA-256 of its id."""
    return f"ovms:{{owner:{owner}}}:session:{digest}"


def owner_sessions_key(owner: int | str) -> str:
    """Return the key of the sorted set of an owner's HTTP sessions."""
    return f"ovms:{{owner:{owner}}}:sessions"


def group_channel(name: bytes) -> bytes:
    """Where the cars of a group and those who watch them meet; a name is any bytes, in upper case."""
    return b"ovms:group:" + name


def replica_channel(replica: str) -> str:
    """Where one replica of car-protocol, or of another service that asks cars, can be reached."""
    return f"ovms:replica:{replica}"


def replica_vehicles_key(replica: str) -> str:
    """The set of vehicles that a replica has announced."""
    return f"ovms:replica:{replica}:vehicles"
