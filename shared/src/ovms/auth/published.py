"""The credentials of the demo, which the documents publish: they authenticate a peer on a loopback address and no other.

They are a password for someone who tries the server on their own machine. From the network everybody knows them.
"""

import ipaddress
from typing import Final

from ovms.identity import fold_vehicle_id

OWNER: Final = "demo"
OWNER_PASSWORD: Final = "demo"  # noqa: S105  (published)
VEHICLE_ID: Final = "DEMO"
VEHICLE_PASSWORD: Final = "DEMO"  # noqa: S105  (published)


def is_published(name: str, password: str) -> bool:
    """Whether this is the demo owner with the published password."""
    return password == OWNER_PASSWORD and name.lower() == OWNER


def is_published_for_vehicle(vehicle_id: str, secret: bytes) -> bool:
    """Whether this is the demo vehicle with the published password."""
    return secret == VEHICLE_PASSWORD.encode() and fold_vehicle_id(vehicle_id) == VEHICLE_ID


def is_loopback(address: str) -> bool:
    """Whether an address belongs to the machine that the server runs on."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback
