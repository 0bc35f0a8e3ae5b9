"""The channels of Redis, their bodies and the keys beside them: what other programs may rely on.

All names of one vehicle carry one hash tag, the upper-cased vehicle id, so that a Redis Cluster keeps them in one slot.

| name | kind | body |
|---|---|---|
| `ovms:{DEMO}:messages` | channel | a status message as an app gets it: one byte of code, then the data |
| `ovms:{DEMO}:peers` | channel | JSON: `vehicle`, `car` (0 or 1), `apps` (with HTTP sessions), `batch`, `http`, `http_until` |
| `ovms:{DEMO}:connections` | hash | per replica of car-protocol: `<car> <apps> <batch>` connected there |
| `ovms:{DEMO}:http` | sorted set | an HTTP session that watches the car, scored by the Unix time at which its lease ends |
| `ovms:{DEMO}:epoch` | integer | the newest session of the car; see `presence.claim` |
| `ovms:replicas` | sorted set | a replica of car-protocol, scored by the Unix time at which its lease ends |
| `ovms:session:<sha256>` | hash | an HTTP session, by the SHA-256 of its id |
"""

from typing import Final

from ovms.identity import fold_vehicle_id

REPLICAS: Final = "ovms:replicas"


def messages_channel(vehicle_id: str) -> str:
    """Where a vehicle's status messages go."""
    return f"ovms:{{{fold_vehicle_id(vehicle_id)}}}:messages"


def peers_channel(vehicle_id: str) -> str:
    """Where a vehicle's peer counts go at every change."""
    return f"ovms:{{{fold_vehicle_id(vehicle_id)}}}:peers"


def connections_key(vehicle_id: str) -> str:
    """The hash of what each replica of car-protocol has connected."""
    return f"ovms:{{{fold_vehicle_id(vehicle_id)}}}:connections"


def http_key(vehicle_id: str) -> str:
    """The sorted set of HTTP sessions that watch the car."""
    return f"ovms:{{{fold_vehicle_id(vehicle_id)}}}:http"


def epoch_key(vehicle_id: str) -> str:
    """The number of the car's newest session."""
    return f"ovms:{{{fold_vehicle_id(vehicle_id)}}}:epoch"


def replica_channel(replica: str) -> str:
    """Where one replica of car-protocol can be reached."""
    return f"ovms:replica:{replica}"


def vehicle_of(channel: bytes) -> str:
    """The folded vehicle id that a channel of this module is about; empty for a replica's own channel."""
    return channel.partition(b"{")[2].partition(b"}")[0].decode()
