"""Who is who: vehicle ids, names of vehicles, and the roles that a peer logs in with."""

import re
from enum import Enum
from typing import Final, NamedTuple

from ovms.errors import IdentityError

VEHICLE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}\Z")
"""Every id that a vehicle can have; imported ones have more characters than new ones may."""
NEW_VEHICLE_ID: Final = r"^-*[A-Za-z0-9][A-Za-z0-9-]*$"
"""The pattern of an id that a module can be configured with: its web pages accept letters, digits and dashes only."""
LONGEST_VEHICLE_ID: Final = 32


class VehicleName(NamedTuple):
    """Names one vehicle for good: once it is removed its id may be given to another vehicle, its number never is."""

    vehicle_id: str
    number: int
    """`vehicles.id`"""


class Role(Enum):
    """The kind of a peer: the letter after `MP-` in its welcome (manual, Startup)."""

    CAR = "C"
    APP = "A"
    BATCH = "B"


def check_vehicle_id(text: str) -> str:
    """Return a vehicle id as it is spelled.

    Raises:
        IdentityError: it is empty, longer than 32 characters or has others than `A-Z a-z 0-9 . _ -`.
    """
    if not VEHICLE_ID.match(text):
        raise IdentityError(f"vehicle id {text!r}: 1 to 32 letters, digits, dots, dashes or underscores")
    return text


def check_new_vehicle_id(text: str) -> str:
    """Return the id of a vehicle to be added as it is spelled.

    Raises:
        IdentityError: it is empty, longer than 32 characters, has others than `A-Z a-z 0-9 -`, or has dashes only.
    """
    if len(text) > LONGEST_VEHICLE_ID or text.endswith("\n") or not re.match(NEW_VEHICLE_ID, text):
        raise IdentityError(f"vehicle id {text!r}: 1 to {LONGEST_VEHICLE_ID} ASCII letters, digits or dashes, not dashes only")
    return text


def fold_vehicle_id(text: str) -> str:
    """The form under which two spellings of one vehicle id are equal."""
    return text.upper()
